-- grain: one row per list and rank of one placement in some parts
select subject_id, list_hash, rank, item_id, score, source, reason, propensity
from recsys.list_rows
where part in ({parts}) and placement = :placement
