-- grain: one row per list and rank of one part
select subject_id, list_hash, rank, item_id, score, source, reason, propensity
from recsys.list_rows
where part = :part
