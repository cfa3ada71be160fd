-- grain: cut_id, user_idx, category_no
-- category_lines: purchase lines of the customer in the product's category (the whole path)
-- category_items: different products of it that the customer bought
-- category_days_since_last: days since the customer last bought from it
-- category_lines_28d: purchase lines in it in the last 28 days
-- category_decay_60: purchases in it, each losing half its weight in 60 days
-- category_share: the category's part of the customer's purchase lines
-- category_interval: median days between two baskets with it
-- category_new_items_112d: products of it that the customer bought for the first time in the last 112 days
-- category_price: mean price that the customer pays for one unit of it
with lines as (
    select
        purchases.*,
        item_groups.category_no,
        max(purchases.age) over (partition by purchases.cut_id, purchases.user_idx, purchases.item_idx) as first_age
    from purchases
    inner join item_groups on purchases.item_idx = item_groups.item_idx
),

baskets as (
    select
        cut_id,
        user_idx,
        category_no,
        basket_id,
        min(age) as age
    from lines
    group by cut_id, user_idx, category_no, basket_id
),

gaps as (
    select
        cut_id,
        user_idx,
        category_no,
        lag(age) over (partition by cut_id, user_idx, category_no order by age desc, basket_id) - age as gap
    from baskets
),

intervals as (
    select
        cut_id,
        user_idx,
        category_no,
        median(gap) filter (gap > 0) as interval_days
    from gaps
    group by cut_id, user_idx, category_no
),

counted as (
    select
        cut_id,
        user_idx,
        category_no,
        count(*) as category_lines,
        count(distinct item_idx) as category_items,
        min(age) as category_days_since_last,
        count(*) filter (age <= 28) as category_lines_28d,
        cast(sum(cast(0.5 ** (age / 60) as decimal(18, 12))) as double) as category_decay_60,
        count(*) / sum(count(*)) over (partition by cut_id, user_idx) as category_share,
        count(distinct item_idx) filter (first_age <= 112) as category_new_items_112d,
        cast(sum(value) as double) / nullif(cast(sum(quantity) as double), 0) as category_price
    from lines
    group by cut_id, user_idx, category_no
)

select
    counted.cut_id,
    counted.user_idx,
    counted.category_no,
    counted.category_lines,
    counted.category_items,
    counted.category_days_since_last,
    counted.category_lines_28d,
    counted.category_decay_60,
    counted.category_share,
    intervals.interval_days as category_interval,
    counted.category_new_items_112d,
    counted.category_price
from counted
inner join intervals
    on counted.cut_id = intervals.cut_id
    and counted.user_idx = intervals.user_idx
    and counted.category_no = intervals.category_no
