-- One row per product seen at a till. Fuel, coupons, miscellaneous and uncategorised products are kept, since
-- they are in the baskets, but never recommended.

with catalogue as (

    select * from raw_completejourney.catalogue

),

described as (

    select
        product_id,
        manufacturer_id,
        department,
        product_category,
        product_type,
        package_size
    from catalogue

),

attributes as (

    select
        product_id,
        cast(to_json(described) as varchar) as attributes
    from described

)

select
    cast(catalogue.product_id as varchar) as item_id,
    catalogue.title,
    catalogue.category,
    catalogue.brand,
    catalogue.price,
    true as available,
    catalogue.is_merchandise as recommendable,
    catalogue.created_at,
    attributes.attributes
from catalogue
inner join attributes on attributes.product_id = catalogue.product_id
