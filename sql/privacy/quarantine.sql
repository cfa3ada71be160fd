-- grain: one row per rejected row, and per correction of one
select cast("row" as varchar) as row_text
from shop.quarantine
union all
select cast("row" as varchar) as row_text
from shop.quarantine_repairs
where "row" is not null
