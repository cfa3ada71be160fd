-- grain: one row per stored list of a placement
select distinct subject_id, list_hash
from recsys.list_rows
where placement = :placement
