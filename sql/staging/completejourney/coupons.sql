-- One row per coupon, campaign and product seen at a till that it is valid for; doubles are merged.

with coupons as (

    select distinct
        coupon_upc,
        campaign_id,
        product_id
    from raw_completejourney.coupons

),

descriptions as (

    select * from raw_completejourney.campaign_descriptions

),

items as (

    select
        product_id,
        created_at
    from raw_completejourney.catalogue

)

select
    cast(coupons.coupon_upc as varchar) as coupon_id,
    cast(coupons.campaign_id as varchar) as campaign_id,
    cast(coupons.product_id as varchar) as item_id,
    greatest(descriptions.start_date, items.created_at) as known_at
from coupons
inner join descriptions on descriptions.campaign_id = coupons.campaign_id
inner join items on items.product_id = coupons.product_id
