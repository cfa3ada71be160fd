-- grain: one row: how many products of the shop a rule matches; null: anything
select count(*) as item_count
from shop.items as items
where
    (cast(:item_id as text) is null or items.item_id = :item_id)
    and (cast(:brand as text) is null or items.brand = :brand)
    and (
        cast(:category as text) is null
        or items.category = :category
        or starts_with(items.category, cast(:category as text) || ' > ')
    )
