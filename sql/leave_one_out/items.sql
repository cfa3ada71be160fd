-- One row per product of the interactions, in the order of its dense index, with what the item file says of it; of
-- several rows about one product the first counts. All exist from the beginning: the catalogue is the whole file's.
with attributes as (
    select *
    from item_texts
    where item_id is not null
    qualify row_number() over (partition by item_id order by file_row) = 1
),

products as (
    select
        item_id,
        min(occurred_at) over () - interval 1 day as exists_from
    from interactions
    qualify row_number() over (partition by item_id order by file_row) = 1
)

select
    cast(row_number() over (order by products.item_id) - 1 as integer) as item_idx,
    products.item_id,
    coalesce(attributes.title, '') as title,
    coalesce(attributes.category, '') as category,
    coalesce(attributes.brand, '') as brand,
    true as recommendable,
    products.exists_from,
    '' as attributes
from products
left join attributes on products.item_id = attributes.item_id
order by item_idx
