-- Run over one range of customers (part_purchases and part_pairs); item.sql adds the ranges up.
-- grain: cut_id, item_idx
with buyers as (
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
        count(*) filter (lines > 1) as repeat_buyers,
        min(last_age) as last_age
    from part_pairs
    group by cut_id, item_idx
),

-- Sums of decimals, so that they do not depend on their order.
sales as (
    select
        cut_id,
        item_idx,
        any_value(cut_at) as cut_at,
        sum(value) as value,
        sum(quantity) as quantity,
        sum(value) filter (age <= 28) as value_28d,
        sum(quantity) filter (age <= 28) as quantity_28d,
        sum(value) filter (age <= 7) as value_7d,
        sum(quantity) filter (age <= 7) as quantity_7d,
        sum(value) filter (age <= 84) as value_84d,
        sum(quantity) filter (age <= 84) as quantity_84d
    from part_purchases
    group by cut_id, item_idx
)

select *
from buyers
inner join sales using (cut_id, item_idx)
