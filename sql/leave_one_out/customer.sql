-- grain: user_idx
-- customer_events: events of the customer
-- customer_last_buyers: customers of the product that they turned to last
with last_events as (
    select
        user_idx,
        count(*) as events,
        arg_max(item_idx, occurred_at) as item_idx
    from events
    group by user_idx
)

select
    last_events.user_idx,
    last_events.events as customer_events,
    features_product.product_buyers as customer_last_buyers
from last_events
inner join features_product on last_events.item_idx = features_product.item_idx
order by last_events.user_idx
