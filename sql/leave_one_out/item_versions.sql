-- One row per product: a file without history has one version of each.
select
    item_idx,
    exists_from as valid_from,
    cast(null as timestamp) as valid_to,
    title,
    category,
    brand,
    recommendable
from snapshot_items
order by item_idx
