-- grain: cut_id, user_market, item_idx
-- market_buyers_84d: customers who bought the product in the last 84 days where the customer buys most
-- market_rate: their share of the market's customers of those days (five more are assumed, for small markets)
-- market_lift: that share against the product's share of all customers of those days
-- market_promoted: 1 if a promotion of the product was running there at the cut
with recent as (
    select distinct
        cut_id,
        market,
        item_idx,
        user_idx
    from purchases
    where age <= 84 and market is not null
),

totals as (
    select
        cut_id,
        count(distinct user_idx) as customers
    from recent
    group by cut_id
),

markets as (
    select
        cut_id,
        market,
        count(distinct user_idx) as customers
    from recent
    group by cut_id, market
),

items as (
    select
        cut_id,
        item_idx,
        count(distinct user_idx) as buyers
    from recent
    group by cut_id, item_idx
),

bought as (
    select
        cut_id,
        market,
        item_idx,
        count(*) as buyers
    from recent
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
    bought.buyers as market_buyers_84d,
    bought.buyers / (markets.customers + 5) as market_rate,
    bought.buyers / (markets.customers + 5) / (items.buyers / totals.customers) as market_lift,
    cast(running.item_idx is not null as integer) as market_promoted
from bought
inner join markets on bought.cut_id = markets.cut_id and bought.market = markets.market
inner join items on bought.cut_id = items.cut_id and bought.item_idx = items.item_idx
inner join totals on bought.cut_id = totals.cut_id
left join running on bought.market = running.market and bought.item_idx = running.item_idx
