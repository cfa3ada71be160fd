-- grain: cut_id, user_idx, item_idx
-- pair_lines: times the customer bought the product
-- pair_days_since_last: days since the customer last bought it
-- pair_days_since_first: days since the customer first bought it
-- pair_lines_28d: times in the last 28 days
-- pair_lines_84d: times in the last 84 days
-- pair_decay_14: purchases, each losing half its weight in 14 days
-- pair_decay_30: purchases, each losing half its weight in 30 days
-- pair_decay_60: purchases, each losing half its weight in 60 days
-- pair_decay_120: purchases, each losing half its weight in 120 days
-- pair_interval: mean days between the customer's purchases of it
-- pair_overdue: days since the customer last bought it, in those intervals
-- pair_interval_median: median days between two purchases of it
-- pair_overdue_median: days since the customer last bought it, in those median intervals
-- pair_basket_share: share of the customer's baskets with it since they first bought it
-- pair_quantity: mean units of a purchase
-- pair_in_last_basket: 1 if it was in the customer's last basket
-- pair_order: the product's place among the customer's products by decayed purchases (120 days)
with baskets as (
    select
        cut_id,
        user_idx,
        basket_id,
        min(age) as age
    from purchases
    group by cut_id, user_idx, basket_id
),

last_baskets as (
    select
        cut_id,
        user_idx,
        min(age) as age
    from baskets
    group by cut_id, user_idx
),

pairs as (
    select
        cut_id,
        user_idx,
        item_idx,
        count(*) as lines,
        count(distinct basket_id) as baskets,
        min(age) as last_age,
        max(age) as first_age,
        count(*) filter (age <= 28) as lines_28d,
        count(*) filter (age <= 84) as lines_84d,
        cast(sum(cast(0.5 ** (age / 14) as decimal(18, 12))) as double) as decay_14,
        cast(sum(cast(0.5 ** (age / 30) as decimal(18, 12))) as double) as decay_30,
        cast(sum(cast(0.5 ** (age / 60) as decimal(18, 12))) as double) as decay_60,
        cast(sum(cast(0.5 ** (age / 120) as decimal(18, 12))) as double) as decay_120,
        cast(sum(quantity) as double) / count(*) as quantity
    from purchases
    group by cut_id, user_idx, item_idx
),

gaps as (
    select
        cut_id,
        user_idx,
        item_idx,
        lag(age) over (partition by cut_id, user_idx, item_idx order by age desc, basket_id) - age as gap
    from purchases
),

intervals as (
    select
        cut_id,
        user_idx,
        item_idx,
        median(gap) filter (gap > 0) as interval_days
    from gaps
    group by cut_id, user_idx, item_idx
),

since_first as (
    select
        cut_id,
        user_idx,
        age,
        row_number() over (partition by cut_id, user_idx order by age) as baskets_since
    from baskets
),

chances as (
    select
        pairs.cut_id,
        pairs.user_idx,
        pairs.item_idx,
        since_first.baskets_since
    from pairs
    asof join since_first
        on pairs.cut_id = since_first.cut_id
        and pairs.user_idx = since_first.user_idx
        and pairs.first_age >= since_first.age
)

select
    pairs.cut_id,
    pairs.user_idx,
    pairs.item_idx,
    pairs.lines as pair_lines,
    pairs.last_age as pair_days_since_last,
    pairs.first_age as pair_days_since_first,
    pairs.lines_28d as pair_lines_28d,
    pairs.lines_84d as pair_lines_84d,
    pairs.decay_14 as pair_decay_14,
    pairs.decay_30 as pair_decay_30,
    pairs.decay_60 as pair_decay_60,
    pairs.decay_120 as pair_decay_120,
    (pairs.first_age - pairs.last_age) / nullif(pairs.lines - 1, 0) as pair_interval,
    pairs.last_age * (pairs.lines - 1) / nullif(pairs.first_age - pairs.last_age, 0) as pair_overdue,
    intervals.interval_days as pair_interval_median,
    pairs.last_age / nullif(intervals.interval_days, 0) as pair_overdue_median,
    pairs.baskets / chances.baskets_since as pair_basket_share,
    pairs.quantity as pair_quantity,
    cast(pairs.last_age <= last_baskets.age as integer) as pair_in_last_basket,
    row_number() over (
        partition by pairs.cut_id, pairs.user_idx order by pairs.decay_120 desc, pairs.item_idx
    ) as pair_order
from pairs
inner join last_baskets on pairs.cut_id = last_baskets.cut_id and pairs.user_idx = last_baskets.user_idx
inner join intervals
    on pairs.cut_id = intervals.cut_id and pairs.user_idx = intervals.user_idx and pairs.item_idx = intervals.item_idx
left join chances
    on pairs.cut_id = chances.cut_id and pairs.user_idx = chances.user_idx and pairs.item_idx = chances.item_idx
