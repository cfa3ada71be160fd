-- Run over one range of customers; market_item.sql adds the ranges up.
-- grain: cut_id, market, item_idx; without a product the customers of the market, without a market those of the product,
-- without either all of them
with recent as (
    select distinct
        cut_id,
        market,
        item_idx,
        user_idx
    from part_purchases
    where age <= 84 and market is not null
)

select
    cut_id,
    market,
    item_idx,
    count(distinct user_idx) as customers
from recent
group by grouping sets ((cut_id, market, item_idx), (cut_id, market), (cut_id, item_idx), (cut_id))
