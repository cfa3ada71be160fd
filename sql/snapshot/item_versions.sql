-- One row per version of a product, in force from valid_from until valid_to (null: still). A version ends at the
-- latest where the next one begins.
with versions as (
    select *
    from extracted_item_versions
    qualify row_number() over (
        partition by item_id, valid_from order by to_json(extracted_item_versions)::varchar
    ) = 1
)

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
from versions
inner join snapshot_items as items on versions.item_id = items.item_id
order by items.item_idx, versions.valid_from
