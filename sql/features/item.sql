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
with sums as (
    select
        cut_id,
        item_idx,
        any_value(cut_at) as cut_at,
        cast(sum(lines) as bigint) as lines,
        cast(sum(buyers) as bigint) as buyers,
        cast(sum(buyers_7d) as bigint) as buyers_7d,
        cast(sum(buyers_14d) as bigint) as buyers_14d,
        cast(sum(buyers_28d) as bigint) as buyers_28d,
        cast(sum(buyers_before) as bigint) as buyers_before,
        cast(sum(first_buyers_28d) as bigint) as first_buyers_28d,
        cast(sum(repeat_buyers) as bigint) as repeat_buyers,
        min(last_age) as last_age,
        cast(sum(value) as double) / nullif(cast(sum(quantity) as double), 0) as price,
        cast(sum(value_28d) as double) / nullif(cast(sum(quantity_28d) as double), 0) as price_28d,
        cast(sum(value_7d) as double) / nullif(cast(sum(quantity_7d) as double), 0) as price_7d,
        cast(sum(value_84d) as double) / nullif(cast(sum(quantity_84d) as double), 0) as price_84d
    from item_parts
    group by cut_id, item_idx
),

intervals as (
    select
        cut_id,
        item_idx,
        median(gap) as interval_days
    from item_gaps
    group by cut_id, item_idx
)

select
    sums.cut_id,
    sums.item_idx,
    sums.lines as item_lines,
    sums.buyers as item_buyers,
    sums.buyers_7d as item_buyers_7d,
    sums.buyers_28d as item_buyers_28d,
    sums.buyers_14d as item_buyers_14d,
    sums.first_buyers_28d as item_first_buyers_28d,
    sums.last_age as item_days_since_last,
    (sums.buyers_28d + 1) / (sums.buyers_before + 1) as item_trend,
    sums.repeat_buyers / sums.buyers as item_repeat_share,
    sums.lines / sums.buyers as item_lines_per_buyer,
    intervals.interval_days as item_interval,
    epoch(sums.cut_at - item_groups.exists_from) / 86400.0 as item_age,
    sums.price as item_price,
    sums.price_28d / nullif(sums.price, 0) as item_price_change,
    sums.price_7d / nullif(sums.price_84d, 0) as item_price_week,
    sums.buyers_28d / nullif(sum(sums.buyers_28d) over (
        partition by sums.cut_id, item_groups.category_no
    ), 0) as item_category_share
from sums
left join intervals on sums.cut_id = intervals.cut_id and sums.item_idx = intervals.item_idx
inner join item_groups on sums.item_idx = item_groups.item_idx
