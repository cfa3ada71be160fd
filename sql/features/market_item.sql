-- grain: cut_id, user_market, item_idx
-- market_buyers_84d: customers who bought the product in the last 84 days where the customer buys most
-- market_rate: their share of the market's customers of those days (five more are assumed, for small markets)
-- market_lift: that share against the product's share of all customers of those days
-- market_promoted: 1 if a promotion of the product was running there at the cut
with sums as (
    select
        cut_id,
        market,
        item_idx,
        cast(sum(customers) as bigint) as customers
    from market_parts
    group by cut_id, market, item_idx
),

running as (
    select distinct
        promotions.market,
        promotions.item_idx
    from promotions
    cross join (select max(cut_at) as cut_at from cuts) as cut
    where
        promotions.known_at < cut.cut_at
        and promotions.starts_at < cut.cut_at
        and promotions.ends_at > cut.cut_at
)

select
    bought.cut_id,
    bought.market as user_market,
    bought.item_idx,
    bought.customers as market_buyers_84d,
    bought.customers / (markets.customers + 5) as market_rate,
    bought.customers / (markets.customers + 5) / (items.customers / totals.customers) as market_lift,
    cast(running.item_idx is not null as integer) as market_promoted
from sums as bought
inner join sums as markets
    on bought.cut_id = markets.cut_id and bought.market = markets.market and markets.item_idx is null
inner join sums as items
    on bought.cut_id = items.cut_id and bought.item_idx = items.item_idx and items.market is null
inner join sums as totals on bought.cut_id = totals.cut_id and totals.market is null and totals.item_idx is null
left join running on bought.market = running.market and bought.item_idx = running.item_idx
where bought.market is not null and bought.item_idx is not null
