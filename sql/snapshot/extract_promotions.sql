-- One row per promotion of a product in a market that was known before :as_of; what ends later is known with it.
select
    item_id,
    market,
    starts_at,
    ends_at,
    known_at
from shop.promotions
where known_at < :as_of
