-- One row per invoice and stock code: a purchase, or a return where the invoice begins with C. A guest's
-- lines keep their basket, which still teaches what is bought together.

with lines as (

    select * from raw_orders.lines
    where is_event

)

select
    invoice_no || '-' || stock_code as event_id,
    customer_id as user_id,
    stock_code as item_id,
    case when is_return then 'return' else 'purchase' end as event_type,
    occurred_at,
    quantity,
    price,
    value,
    invoice_no as basket_id,
    country as market
from lines
