-- Run by DuckDB over the rows of a base (base_rows) and the items that the run of a publication knows (known_items).
-- grain: one row per item of the base that is unknown or barred by now
select named.item_id
from (select distinct item_id from base_rows) as named
left join known_items on known_items.item_id = named.item_id
where known_items.recommendable is distinct from true
