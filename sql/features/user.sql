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
