-- Run over the lines of one range of customers (part_purchases).
-- grain: cut_id, user_idx, item_idx
select
    cut_id,
    user_idx,
    item_idx,
    count(*) as lines,
    min(age) as last_age,
    max(age) as first_age,
    bool_or(age > 28 and age <= 56) as bought_before
from part_purchases
group by cut_id, user_idx, item_idx
