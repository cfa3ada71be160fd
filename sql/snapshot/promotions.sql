-- One row per product, market and period of a promotion, however it was shown.
select distinct
    items.item_idx,
    coalesce(promotions.market, '') as market,
    promotions.starts_at,
    promotions.ends_at,
    promotions.known_at
from valid_promotions as promotions
inner join snapshot_items as items on promotions.item_id = items.item_id
order by items.item_idx, promotions.starts_at, market, promotions.ends_at, promotions.known_at
