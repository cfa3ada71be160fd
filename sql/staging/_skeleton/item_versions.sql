-- One row per change of a product, for a source with has_item_history = true; delete this file or leave it as
-- it is if yours has no history. Needed: item_id, valid_from, title, available, recommendable. Optional:
-- valid_to (exclusive, empty for the newest), category, brand, price.

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
