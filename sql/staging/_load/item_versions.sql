-- One row per product, for a source without history: it exists from created_at on, as it is now.

with items as (

    select * from shop.items

)

select
    item_id,
    created_at as valid_from,
    cast(null as timestamp) as valid_to,
    title,
    category,
    brand,
    price,
    available,
    recommendable
from items
