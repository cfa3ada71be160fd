-- grain: one row per change of a consent, in their order; :user_id null: everybody's
select change_number, user_id, is_granted, changed_by, changed_at, reason
from recsys.consent_changes
where cast(:user_id as text) is null or user_id = :user_id
order by change_number
