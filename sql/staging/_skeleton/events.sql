-- One row per thing that happened. Needed: event_id, event_type, occurred_at. event_type is one of view, cart,
-- purchase, return, rating, review, search, impression, click, dismiss. Usual: user_id (empty for a guest),
-- item_id, quantity, price (of one unit), value (of the row), basket_id, market. Optional: recorded_at (empty:
-- as occurred_at), session_id, query, placement, publication_id, position, attributes (JSON as text).
-- More kinds of event: one SELECT each, joined by union all.

with orders as (

    select * from raw_NAME.orders

),

lines as (

    select
        order_id,
        product,
        min(customer) as customer,
        min(ordered) as ordered,
        sum(quantity) as quantity,
        max(price) as price
    from orders
    where quantity > 0
    group by order_id, product

)

select
    order_id || '-' || product as event_id,
    customer as user_id,
    product as item_id,
    'purchase' as event_type,
    ordered as occurred_at,
    quantity,
    price,
    quantity * price as value,
    order_id as basket_id
from lines
