-- grain: one row per stored list of a placement
-- Each has one row of rank 1. One without is never live, since its audit fails, and is stored anew.
select subject_id, list_hash, cast(null as bigint) as part
from recsys.list_rows
where placement = :placement and rank = 1
