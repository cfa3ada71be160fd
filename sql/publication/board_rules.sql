-- grain: one row per rule that hides products, the newest first and at most :most
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
    items.title
from shop.suppressions as rules
left join recsys.suppression_changes as ended
    on ended.suppression_id = rules.suppression_id and ended.change = 'ended'
left join shop.items as items
    on items.item_id = rules.item_id
order by rules.starts_at desc, rules.suppression_id
limit :most
