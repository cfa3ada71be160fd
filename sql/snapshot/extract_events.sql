-- One row per event that had occurred and was recorded before :as_of, and those no clock allows (for quarantine).
select
    event_id,
    user_id,
    item_id,
    event_type,
    occurred_at,
    coalesce(recorded_at, occurred_at) as known_at,
    quantity,
    price,
    value,
    basket_id,
    market
from shop.events
where
    (occurred_at < :as_of and coalesce(recorded_at, occurred_at) < :as_of)
    or occurred_at > :latest_allowed
    or occurred_at is null
