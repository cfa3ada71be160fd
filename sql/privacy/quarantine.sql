-- grain: one row per rejected row
select cast("row" as varchar) as row_text
from shop.quarantine
