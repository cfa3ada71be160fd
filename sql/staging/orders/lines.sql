-- One row per invoice and stock code: the file's lines, doubles merged, with what cleaning decides about each.
-- All thresholds are fixed: derived from the data, they would differ between a load until a day and a full one.

with order_lines as (

    select * from raw_orders.order_lines

),

renamed as (

    select
        upper(invoice_no) as invoice_no,
        upper(stock_code) as stock_code,
        -- spreadsheets turn the numbers of customers into 17850.0
        regexp_replace(customer_id, '\.0$', '') as customer_id,
        country,
        description,
        invoice_date,
        quantity,
        unit_price,
        -- decimals: a sum of floats depends on the order of the rows
        cast(quantity * unit_price as decimal(18, 4)) as amount
    from order_lines

),

merged as (

    select
        invoice_no,
        stock_code,
        min(customer_id) as customer_id,
        min(country) as country,
        min(invoice_date) as occurred_at,
        sum(quantity) as quantity,
        cast(sum(amount) as double precision) as amount,
        min(unit_price) as lowest_price,
        max(unit_price) as highest_price,
        count(*) as line_count
    from renamed
    group by invoice_no, stock_code

),

classified as (

    select
        merged.*,
        substr(invoice_no, 1, 1) = 'C' as is_return,
        -- postage, discounts, manual entries, fees, samples, vouchers: lines of an invoice, but no goods
        stock_code not in (
            'POST', 'D', 'M', 'S', 'B', 'C2', 'DOT', 'CRUK', 'PADS', 'BANK CHARGES', 'AMAZONFEE', 'ADJUST'
        )
        and stock_code not like 'GIFT%'
        and stock_code not like 'TEST%' as is_merchandise,
        abs(quantity) as counted,
        case
            when lowest_price = highest_price then highest_price
            when quantity <> 0 then amount / quantity
        end as unit_price
    from merged

)

select
    invoice_no,
    stock_code,
    customer_id,
    country,
    occurred_at,
    line_count,
    is_return,
    is_merchandise,
    -- stock corrections are lines below zero on ordinary invoices
    not is_return and quantity <= 0 as is_correction,
    -- nothing was paid: found goods, damages, gifts
    highest_price <= 0 and not (not is_return and quantity <= 0) as is_unpaid,
    is_return and quantity >= 0 as is_empty_return,
    (is_return and quantity < 0 or not is_return and quantity > 0) and highest_price > 0 as is_event,
    counted > 1000 as is_capped,
    unit_price > 1000 as is_price_outlier,
    counted as ordered_quantity,
    case when counted > 1000 then 1000 else counted end as quantity,
    case when unit_price > 0 and unit_price <= 1000 then unit_price end as price,
    abs(amount) as value
from classified
