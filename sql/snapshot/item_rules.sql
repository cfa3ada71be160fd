-- One row per rule about products. A side that names a product which did not exist yet is empty: it matches nothing.
select
    rules.rule_id,
    rules.kind,
    items.item_idx,
    rules.brand,
    rules.category,
    others.item_idx as other_item_idx,
    rules.other_brand,
    rules.other_category,
    rules.weight,
    rules.placement,
    rules.starts_at,
    rules.ends_at,
    rules.season_from,
    rules.season_to,
    rules.known_at
from valid_item_rules as rules
left join snapshot_items as items on rules.item_id = items.item_id
left join snapshot_items as others on rules.other_item_id = others.item_id
order by all
