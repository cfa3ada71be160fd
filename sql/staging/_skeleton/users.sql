-- One row per customer. Needed: user_id, created_at, is_personalised. Optional: attributes (JSON as text);
-- its "segment" decides which popularity list a customer without history gets.

with orders as (

    select * from raw_NAME.orders

)

select
    customer as user_id,
    min(ordered) as created_at,
    -- false for customers who don't want personal recommendations
    true as is_personalised,
    '{"segment":"all"}' as attributes
from orders
where customer is not null
group by customer
