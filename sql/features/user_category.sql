-- grain: cut_id, user_idx, category_no
-- category_lines: purchase lines of the customer in the product's category (the whole path)
-- category_items: different products of it that the customer bought
-- category_days_since_last: days since the customer last bought from it
-- category_lines_28d: purchase lines in it in the last 28 days
-- category_decay_60: purchases in it, each losing half its weight in 60 days
-- category_share: its part of the customer's purchase lines
select
    purchases.cut_id,
    purchases.user_idx,
    item_groups.category_no,
    count(*) as category_lines,
    count(distinct purchases.item_idx) as category_items,
    min(purchases.age) as category_days_since_last,
    count(*) filter (purchases.age <= 28) as category_lines_28d,
    cast(sum(cast(0.5 ** (purchases.age / 60) as decimal(18, 12))) as double) as category_decay_60,
    count(*) / sum(count(*)) over (partition by purchases.cut_id, purchases.user_idx) as category_share
from purchases
inner join item_groups on purchases.item_idx = item_groups.item_idx
group by purchases.cut_id, purchases.user_idx, item_groups.category_no
