-- the primary key refuses a number that was taken meanwhile
insert into recsys.consent_changes (change_number, user_id, is_granted, changed_by, changed_at, reason)
select coalesce(max(change_number), 0) + 1, :user_id, :is_granted, :changed_by, :now, :reason
from recsys.consent_changes
