-- grain: item_idx
-- product_buyers: customers of the product
-- product_last_share: share of them whose last event it was
-- product_from_end: mean number of events from it to the customer's last one
-- product_position: mean number of events before it
with ordered as (
    select
        user_idx,
        item_idx,
        row_number() over (partition by user_idx order by occurred_at desc) as from_end,
        row_number() over (partition by user_idx order by occurred_at) as position
    from events
)

select
    item_idx,
    count(distinct user_idx) as product_buyers,
    count(*) filter (from_end = 1) / count(*) as product_last_share,
    sum(from_end) / count(*) as product_from_end,
    sum(position) / count(*) as product_position
from ordered
group by item_idx
order by item_idx
