-- One row per product that existed before :as_of (an item exists from its first valid_from).
with first_versions as (
    select item_id, min(valid_from) as exists_from
    from shop.item_versions
    group by item_id
)

select
    items.item_id,
    items.title,
    items.category,
    items.brand,
    items.available,
    items.recommendable,
    first_versions.exists_from
from shop.items as items
inner join first_versions on items.item_id = first_versions.item_id
where first_versions.exists_from < :as_of
