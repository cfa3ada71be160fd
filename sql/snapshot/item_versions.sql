-- One row per version of a product, in force from valid_from until valid_to (null: still). A version ends at the
-- latest where the next one begins.
select
    items.item_idx,
    versions.valid_from,
    least(
        versions.valid_to, lead(versions.valid_from) over (partition by items.item_idx order by versions.valid_from)
    ) as valid_to,
    coalesce(nullif(trim(versions.title), ''), 'Product ' || versions.item_id) as title,
    coalesce(versions.category, '') as category,
    coalesce(versions.brand, '') as brand,
    versions.recommendable
from valid_item_versions as versions
inner join snapshot_items as items on versions.item_id = items.item_id
order by items.item_idx, versions.valid_from
