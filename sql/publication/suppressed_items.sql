-- grain: one row per suppression and item that it matches now; placement null: everywhere
select
    rules.placement,
    coalesce(items.item_id, rules.item_id) as item_id,
    rules.starts_at,
    rules.ends_at
from shop.suppressions as rules
left join shop.items as items
    on (rules.item_id is null or rules.item_id = items.item_id)
    and (rules.brand is null or rules.brand = items.brand)
    and (
        rules.category is null
        or rules.category = items.category
        or starts_with(items.category, rules.category || ' > ')
    )
where
    coalesce(rules.item_id, rules.brand, rules.category) is not null
    and (items.item_id is not null or (rules.brand is null and rules.category is null))
order by item_id, placement, starts_at, ends_at
