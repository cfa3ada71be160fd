-- grain: one row per customer who was erased
select
    mark,
    min(erasure_id) as erasure_id,
    min(listed_at) as listed_at
from recsys.do_not_process
group by mark
order by mark
