-- One row per stock code with a purchase or return. Descriptions vary for one code: the most frequent one on
-- purchases is the title, of equally frequent ones the first in the alphabet.

with lines as (

    select * from raw_orders.lines
    where is_event

),

descriptions as (

    select
        upper(stock_code) as stock_code,
        trim(description) as description,
        count(*) as line_count
    from raw_orders.order_lines
    where trim(description) <> '' and quantity > 0 and unit_price > 0
    group by upper(stock_code), trim(description)

),

titles as (

    select
        stock_code,
        description,
        row_number() over (partition by stock_code order by line_count desc, description) as nth
    from descriptions

),

prices as (

    select
        stock_code,
        price,
        row_number() over (partition by stock_code order by occurred_at desc, invoice_no desc) as nth
    from lines
    where price is not null and not is_return

),

items as (

    select
        stock_code,
        min(occurred_at) as created_at,
        bool_and(is_merchandise) as is_merchandise
    from lines
    group by stock_code

)

select
    items.stock_code as item_id,
    coalesce(titles.description, 'Product ' || items.stock_code) as title,
    cast(null as varchar) as category,
    cast(null as varchar) as brand,
    prices.price,
    true as available,
    items.is_merchandise as recommendable,
    items.created_at,
    cast(null as varchar) as attributes
from items
left join titles on titles.stock_code = items.stock_code and titles.nth = 1
left join prices on prices.stock_code = items.stock_code and prices.nth = 1
