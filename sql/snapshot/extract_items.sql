-- One row per product that existed before :as_of (an item exists from its first valid_from), as it was then.
-- A source without history has one version of each product: the product as it was loaded. Attributes are declared as
-- what does not change.
with versions as (
    select
        item_id,
        title,
        category,
        brand,
        price,
        available,
        recommendable,
        rank() over (partition by item_id order by valid_from desc) as age,
        min(valid_from) over (partition by item_id) as exists_from
    from shop.item_versions
    where valid_from < :as_of
)

select
    versions.item_id,
    versions.title,
    versions.category,
    versions.brand,
    versions.price,
    versions.available,
    versions.recommendable,
    versions.exists_from,
    cast(items.attributes as text) as attributes
from versions
inner join shop.items as items on versions.item_id = items.item_id
where versions.age = 1
