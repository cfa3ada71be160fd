-- One row per rule about products that was known before :as_of.
select
    rule_id,
    kind,
    item_id,
    brand,
    category,
    other_item_id,
    other_brand,
    other_category,
    weight,
    placement,
    starts_at,
    ends_at,
    season_from,
    season_to,
    known_at
from shop.item_rules
where known_at < :as_of
