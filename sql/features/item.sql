-- grain: cut_id, item_idx
-- item_lines: purchase lines of the product
-- item_buyers: customers who bought it
-- item_buyers_7d: customers who bought it in the last 7 days
-- item_buyers_28d: customers who bought it in the last 28 days
-- item_buyers_14d: customers who bought it in the last 14 days
-- item_first_buyers_28d: customers who bought it for the first time in the last 28 days
-- item_days_since_last: days since anybody bought it
-- item_trend: buyers of the last 28 days against those of the 28 days before
-- item_repeat_share: share of its buyers who bought it more than once
-- item_lines_per_buyer: mean lines of a buyer
-- item_interval: median days between two purchases of one customer
-- item_age: days since the product was first seen
-- item_price: mean price of one unit
-- item_price_change: mean unit price of the last 28 days against all time
-- item_price_week: mean unit price of the last 7 days against the last 84
-- item_category_share: the product's part of the category's buyers in the last 28 days
with per_buyer as (
    select
        cut_id,
        item_idx,
        user_idx,
        count(*) as lines,
        min(age) as last_age,
        max(age) as first_age,
        bool_or(age > 28 and age <= 56) as bought_before
    from purchases
    group by cut_id, item_idx, user_idx
),

buyers as (
    select
        cut_id,
        item_idx,
        cast(sum(lines) as bigint) as lines,
        count(*) as buyers,
        count(*) filter (last_age <= 7) as buyers_7d,
        count(*) filter (last_age <= 14) as buyers_14d,
        count(*) filter (last_age <= 28) as buyers_28d,
        count(*) filter (bought_before) as buyers_before,
        count(*) filter (first_age <= 28) as first_buyers_28d,
        count(*) filter (lines > 1) / count(*) as repeat_share,
        min(last_age) as last_age
    from per_buyer
    group by cut_id, item_idx
),

-- Who bought at different moments only: there is no time between two lines of one moment.
gaps as (
    select
        purchases.cut_id,
        purchases.item_idx,
        lag(purchases.age) over (
            partition by purchases.cut_id, purchases.user_idx, purchases.item_idx order by purchases.age desc
        ) - purchases.age as gap
    from purchases
    inner join per_buyer
        on purchases.cut_id = per_buyer.cut_id
        and purchases.item_idx = per_buyer.item_idx
        and purchases.user_idx = per_buyer.user_idx
    where per_buyer.first_age > per_buyer.last_age
),

intervals as (
    select
        cut_id,
        item_idx,
        median(gap) as interval_days
    from gaps
    where gap > 0
    group by cut_id, item_idx
),

prices as (
    select
        cut_id,
        item_idx,
        any_value(cut_at) as cut_at,
        cast(sum(value) as double) / nullif(cast(sum(quantity) as double), 0) as price,
        cast(sum(value) filter (age <= 28) as double)
        / nullif(cast(sum(quantity) filter (age <= 28) as double), 0) as price_28d,
        cast(sum(value) filter (age <= 7) as double)
        / nullif(cast(sum(quantity) filter (age <= 7) as double), 0) as price_7d,
        cast(sum(value) filter (age <= 84) as double)
        / nullif(cast(sum(quantity) filter (age <= 84) as double), 0) as price_84d
    from purchases
    group by cut_id, item_idx
)

select
    buyers.cut_id,
    buyers.item_idx,
    buyers.lines as item_lines,
    buyers.buyers as item_buyers,
    buyers.buyers_7d as item_buyers_7d,
    buyers.buyers_28d as item_buyers_28d,
    buyers.buyers_14d as item_buyers_14d,
    buyers.first_buyers_28d as item_first_buyers_28d,
    buyers.last_age as item_days_since_last,
    (buyers.buyers_28d + 1) / (buyers.buyers_before + 1) as item_trend,
    buyers.repeat_share as item_repeat_share,
    buyers.lines / buyers.buyers as item_lines_per_buyer,
    intervals.interval_days as item_interval,
    epoch(prices.cut_at - item_groups.exists_from) / 86400.0 as item_age,
    prices.price as item_price,
    prices.price_28d / nullif(prices.price, 0) as item_price_change,
    prices.price_7d / nullif(prices.price_84d, 0) as item_price_week,
    buyers.buyers_28d / nullif(sum(buyers.buyers_28d) over (
        partition by buyers.cut_id, item_groups.category_no
    ), 0) as item_category_share
from buyers
inner join prices on buyers.cut_id = prices.cut_id and buyers.item_idx = prices.item_idx
left join intervals on buyers.cut_id = intervals.cut_id and buyers.item_idx = intervals.item_idx
inner join item_groups on buyers.item_idx = item_groups.item_idx
