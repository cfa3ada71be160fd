-- grain: cut_id, user_idx
-- user_lines: purchase lines of the customer
-- user_baskets: baskets of the customer
-- user_items: different products the customer bought
-- user_days_since_last: days since the customer's last purchase
-- user_days_since_first: days since the customer's first purchase
-- user_basket_interval: mean days between two baskets
-- user_basket_size: mean lines in a basket
-- user_repeat_share: share of lines that repeat a product
-- user_lines_28d: purchase lines in the last 28 days
-- user_baskets_28d: baskets in the last 28 days
-- user_value_per_line: mean value of a line
-- user_new_items_84d: products bought for the first time in the last 84 days
with markets as (
    select
        cut_id,
        user_idx,
        market
    from purchases
    where market is not null
    group by cut_id, user_idx, market
    qualify row_number() over (partition by cut_id, user_idx order by count(*) desc, market) = 1
),

firsts as (
    select
        cut_id,
        user_idx,
        item_idx,
        max(age) as first_age
    from purchases
    group by cut_id, user_idx, item_idx
),

found as (
    select
        cut_id,
        user_idx,
        count(*) filter (first_age <= 84) as new_items_84d
    from firsts
    group by cut_id, user_idx
),

counted as (
    select
        cut_id,
        user_idx,
        count(*) as user_lines,
        count(distinct basket_id) as user_baskets,
        count(distinct item_idx) as user_items,
        min(age) as user_days_since_last,
        max(age) as user_days_since_first,
        (max(age) - min(age)) / nullif(count(distinct basket_id) - 1, 0) as user_basket_interval,
        count(*) / count(distinct basket_id) as user_basket_size,
        1 - count(distinct item_idx) / count(*) as user_repeat_share,
        count(*) filter (age <= 28) as user_lines_28d,
        count(distinct basket_id) filter (age <= 28) as user_baskets_28d,
        cast(sum(value) as double) / count(*) as user_value_per_line
    from purchases
    group by cut_id, user_idx
)

-- user_market, where the customer buys most, joins what is known by market; it is no feature itself.
select
    counted.*,
    found.new_items_84d as user_new_items_84d,
    markets.market as user_market
from counted
inner join found on counted.cut_id = found.cut_id and counted.user_idx = found.user_idx
left join markets on counted.cut_id = markets.cut_id and counted.user_idx = markets.user_idx
