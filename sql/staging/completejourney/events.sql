-- One row per basket and product that was bought. Lines without a quantity are no purchases (they carry
-- coupons and corrections); the data has no returns.

with lines as (

    select * from raw_completejourney.lines

),

purchases as (

    select * from lines where is_purchase

)

select
    cast(basket_id as varchar) || '-' || cast(product_id as varchar) as event_id,
    cast(household_id as varchar) as user_id,
    cast(product_id as varchar) as item_id,
    'purchase' as event_type,
    occurred_at,
    quantity,
    price,
    sales_value as value,
    cast(basket_id as varchar) as basket_id,
    cast(store_id as varchar) as market,
    case
        when is_capped or is_sold_by_volume
            then '{"till_quantity":' || cast(till_quantity as varchar) || '}'
    end as attributes
from purchases
