-- grain: one row per stored list of a placement, with its part
-- As in stored_lists.sql.
select subject_id, list_hash, part
from recsys.list_rows
where placement = :placement and rank = 1
