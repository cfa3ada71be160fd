-- One row per customer with a purchase or return, since the first one. The segment is the country of the
-- first invoice; lines without a customer are guests' and make no customer.

with lines as (

    select * from raw_orders.lines
    where is_event and customer_id is not null

),

numbered as (

    select
        customer_id,
        occurred_at,
        country,
        row_number() over (partition by customer_id order by occurred_at, invoice_no, stock_code) as nth
    from lines

),

first_lines as (

    select
        customer_id,
        occurred_at,
        coalesce(country, 'unknown') as segment
    from numbered
    where nth = 1

),

described as (

    select
        customer_id,
        segment
    from first_lines

),

attributes as (

    select
        customer_id,
        cast(to_json(described) as varchar) as attributes
    from described

)

select
    first_lines.customer_id as user_id,
    first_lines.occurred_at as created_at,
    true as is_personalised,
    attributes.attributes
from first_lines
inner join attributes on attributes.customer_id = first_lines.customer_id
