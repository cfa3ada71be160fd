-- One row per basket and product: the till's lines, doubles merged, with what cleaning decides about each.
-- All thresholds are fixed: derived from the data, they would differ between a load until a day and a full one.

with transactions as (

    select * from raw_completejourney.transactions

),

products as (

    select
        product_id,
        coalesce(department, '') as department,
        product_category
    from raw_completejourney.products

),

merged as (

    select
        basket_id,
        product_id,
        min(household_id) as household_id,
        min(store_id) as store_id,
        min(transaction_timestamp) as occurred_at,
        sum(quantity) as quantity,
        -- decimals: a sum of floats depends on the order of the rows
        cast(sum(cast(sales_value as decimal(18, 6))) as double precision) as sales_value,
        count(*) as line_count
    from transactions
    group by basket_id, product_id

),

classified as (

    select
        merged.*,
        products.product_category is not null
        and products.department not in ('', 'FUEL', 'COUPON', 'MISCELLANEOUS')
        and products.product_category not in (
            'COUPON/MISC ITEMS', 'COUPONS/STORE & MFG', 'COUPON', 'FUEL', 'MISCELLANEOUS'
        ) as is_merchandise
    from merged
    left join products on products.product_id = merged.product_id

),

flagged as (

    select
        classified.*,
        quantity > 0 as is_purchase,
        -- fuel is counted in thousandths of a gallon
        quantity > 48 and not is_merchandise as is_sold_by_volume,
        -- two cases of 24: above, it is one customer's stock, not twice the liking
        quantity > 48 and is_merchandise as is_capped,
        case when quantity > 0 then sales_value / quantity end as paid_price
    from classified

)

select
    basket_id,
    product_id,
    household_id,
    store_id,
    occurred_at,
    line_count,
    is_merchandise,
    is_purchase,
    is_sold_by_volume,
    is_capped,
    quantity as till_quantity,
    sales_value,
    case
        when is_sold_by_volume then 1
        when is_capped then 48
        else quantity
    end as quantity,
    is_purchase and sales_value <= 0 as is_free,
    is_purchase and sales_value > 0 and not is_sold_by_volume
    and (paid_price < 0.01 or paid_price > 300) as is_price_outlier,
    case when not is_sold_by_volume and paid_price >= 0.01 and paid_price <= 300 then paid_price end as price
from flagged
