insert into recsys.suppression_changes (suppression_id, change, changed_by, changed_at, reason)
values (:suppression_id, :change, :changed_by, :now, :reason)
