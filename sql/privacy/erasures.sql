-- grain: one row per erasure
select erasure_id, mark, user_id, status, requested_by, reason, requested_at, finished_at, proof
from recsys.erasures
order by requested_at, erasure_id
