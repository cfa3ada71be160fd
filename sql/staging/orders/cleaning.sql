-- One row per class of lines that the mapping changed, marked or left out.

with lines as (

    select * from raw_orders.lines

),

items as (

    select * from shop.items

)

select
    'duplicate_lines' as rule,
    'lines of one invoice and stock code are merged, their quantities added up' as reason,
    cast(coalesce(sum(line_count - 1), 0) as bigint) as row_count
from lines

union all

select
    'returns',
    'invoices beginning with C; kept as returns with a positive quantity',
    count(*)
from lines
where is_event and is_return

union all

select
    'guests',
    'lines without a customer; kept, as the basket of a guest',
    count(*)
from lines
where is_event and customer_id is null

union all

select
    'non_positive_quantity',
    'lines at or below zero on ordinary invoices are corrections of the stock; left out',
    count(*)
from lines
where is_correction

union all

select
    'empty_returns',
    'lines at or above zero on invoices beginning with C take nothing back; left out',
    count(*)
from lines
where is_empty_return

union all

select
    'unpaid',
    'lines without a price are found goods, damages or gifts; left out',
    count(*)
from lines
where is_unpaid and not is_empty_return

union all

select
    'quantity_outlier',
    'quantities above 1,000 are capped there',
    count(*)
from lines
where is_event and is_capped

union all

select
    'price_outlier',
    'unit prices above 1,000 are left empty',
    count(*)
from lines
where is_event and is_price_outlier

union all

select
    'non_merchandise',
    'postage, discounts, fees and the like; marked not recommendable',
    count(*)
from items
where not recommendable

union all

select
    'missing_title',
    'products without any description; titled by their code',
    count(*)
from items
where title = 'Product ' || item_id
