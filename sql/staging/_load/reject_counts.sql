select
    rule,
    count(*) as row_count,
    min("row") as example
from recsys_rejected
where source_table = {table}
group by rule
order by row_count desc, rule
limit 3
