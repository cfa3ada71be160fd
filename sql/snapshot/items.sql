-- One row per product, in the order of its dense index. Columns that change are left out where the source keeps
-- no history of them, so that a snapshot of an earlier day can't show what became true later.
select
    cast(row_number() over (order by item_id) - 1 as integer) as item_idx,
    item_id,
    coalesce(nullif(trim(title), ''), 'Product ' || item_id) as title,
    coalesce(category, '') as category,
    coalesce(brand, '') as brand,
    coalesce(recommendable, true) and coalesce(available, true) as recommendable,
    exists_from,
    coalesce(attributes, '') as attributes
from valid_items
order by item_idx
