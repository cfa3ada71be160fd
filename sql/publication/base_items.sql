-- Run by DuckDB over the rows of a base (base_rows), the lists of a publication that is built on it (list_facts) and the
-- items that the run knows (known_items).
-- grain: one row: lists of the base that count in the publication and name an item that is unknown or barred
with
refused as (
    select named.item_id
    from (select distinct item_id from base_rows) as named
    left join known_items on known_items.item_id = named.item_id
    where known_items.recommendable is distinct from true
)

select count(distinct base_rows.subject_id) as list_count, list_sort(list(distinct base_rows.item_id))[:3] as examples
from base_rows
semi join refused on refused.item_id = base_rows.item_id
anti join list_facts on list_facts.subject_id = base_rows.subject_id
