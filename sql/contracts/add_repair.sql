insert into shop.quarantine_repairs (quarantine_id, status, "row", changed_by, changed_at)
values (:id, :status, cast(:corrected as json), :changed_by, :changed_at)
