-- Run over one range of customers: days between two purchases of a product by one customer, of different moments.
with lines as (
    -- Who bought at different moments only: there is no time between two lines of one moment.
    select
        part_purchases.cut_id,
        part_purchases.user_idx,
        part_purchases.item_idx,
        part_purchases.age
    from part_purchases
    inner join part_pairs using (cut_id, user_idx, item_idx)
    where part_pairs.first_age > part_pairs.last_age
),

gaps as (
    select
        cut_id,
        item_idx,
        lag(age) over (partition by cut_id, user_idx, item_idx order by age desc) - age as gap
    from lines
)

select
    cut_id,
    item_idx,
    gap
from gaps
where gap > 0
