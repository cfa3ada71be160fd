-- One row per product. Needed: item_id, title, available, recommendable, created_at. Optional: category (a
-- path: Department > Category > Type), brand, price, attributes (JSON as text).

with products as (

    select * from raw_NAME.products

),

first_orders as (

    select
        product,
        min(ordered) as first_ordered
    from raw_NAME.orders
    group by product

)

select
    products.product as item_id,
    coalesce(products.name, 'Product ' || products.product) as title,
    products.category,
    products.brand,
    products.price,
    coalesce(products.in_stock, true) as available,
    -- false for what is sold but should not be recommended: gift cards, postage, fuel
    true as recommendable,
    -- an item exists from here on: a run as of an earlier day doesn't see it
    least(coalesce(products.added, first_orders.first_ordered), first_orders.first_ordered) as created_at
from products
inner join first_orders on first_orders.product = products.product
