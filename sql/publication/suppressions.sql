-- grain: one row per rule, the newest first; :suppression_id null: all
-- item_count is how many products of the shop it matches today.
select
    rules.suppression_id,
    rules.item_id,
    rules.brand,
    rules.category,
    rules.placement,
    rules.starts_at,
    rules.ends_at,
    rules.created_by,
    rules.reason,
    ended.changed_by as ended_by,
    ended.reason as end_reason,
    (
        select count(*)
        from shop.items as items
        where
            (rules.item_id is null or rules.item_id = items.item_id)
            and (rules.brand is null or rules.brand = items.brand)
            and (
                rules.category is null
                or rules.category = items.category
                or starts_with(items.category, rules.category || ' > ')
            )
    ) as item_count
from shop.suppressions as rules
left join recsys.suppression_changes as ended
    on ended.suppression_id = rules.suppression_id and ended.change = 'ended'
where cast(:suppression_id as text) is null or rules.suppression_id = :suppression_id
order by rules.starts_at desc, rules.suppression_id
