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
with bought as (
    select
        *,
        lag(age) over (partition by cut_id, user_idx, item_idx order by age desc, basket_id) - age as gap
    from purchases
),

per_buyer as (
    select
        cut_id,
        item_idx,
        user_idx,
        count(*) as lines,
        max(age) as first_age
    from purchases
    group by cut_id, item_idx, user_idx
),

repeats as (
    select
        cut_id,
        item_idx,
        count(*) filter (lines > 1) / count(*) as repeat_share,
        count(*) filter (first_age <= 28) as first_buyers_28d
    from per_buyer
    group by cut_id, item_idx
),

counted as (
    select
        cut_id,
        item_idx,
        any_value(cut_at) as cut_at,
        count(*) as lines,
        count(distinct user_idx) as buyers,
        count(distinct user_idx) filter (age <= 7) as buyers_7d,
        count(distinct user_idx) filter (age <= 14) as buyers_14d,
        count(distinct user_idx) filter (age <= 28) as buyers_28d,
        count(distinct user_idx) filter (age > 28 and age <= 56) as buyers_before,
        min(age) as last_age,
        median(gap) filter (gap > 0) as interval_days,
        cast(sum(value) as double) / nullif(cast(sum(quantity) as double), 0) as price,
        cast(sum(value) filter (age <= 28) as double)
        / nullif(cast(sum(quantity) filter (age <= 28) as double), 0) as price_28d,
        cast(sum(value) filter (age <= 7) as double)
        / nullif(cast(sum(quantity) filter (age <= 7) as double), 0) as price_7d,
        cast(sum(value) filter (age <= 84) as double)
        / nullif(cast(sum(quantity) filter (age <= 84) as double), 0) as price_84d
    from bought
    group by cut_id, item_idx
)

select
    counted.cut_id,
    counted.item_idx,
    counted.lines as item_lines,
    counted.buyers as item_buyers,
    counted.buyers_7d as item_buyers_7d,
    counted.buyers_28d as item_buyers_28d,
    counted.buyers_14d as item_buyers_14d,
    repeats.first_buyers_28d as item_first_buyers_28d,
    counted.last_age as item_days_since_last,
    (counted.buyers_28d + 1) / (counted.buyers_before + 1) as item_trend,
    repeats.repeat_share as item_repeat_share,
    counted.lines / counted.buyers as item_lines_per_buyer,
    counted.interval_days as item_interval,
    epoch(counted.cut_at - item_groups.exists_from) / 86400.0 as item_age,
    counted.price as item_price,
    counted.price_28d / nullif(counted.price, 0) as item_price_change,
    counted.price_7d / nullif(counted.price_84d, 0) as item_price_week,
    counted.buyers_28d / nullif(sum(counted.buyers_28d) over (
        partition by counted.cut_id, item_groups.category_no
    ), 0) as item_category_share
from counted
inner join repeats on counted.cut_id = repeats.cut_id and counted.item_idx = repeats.item_idx
inner join item_groups on counted.item_idx = item_groups.item_idx
