-- One row per product, store and week in which it was displayed or in the mailer, for products seen at a till.
-- kind tells where: "display 9", "mailer A" or "display 9, mailer A" (the letters and digits are the shop's own).

with promotions as (

    select * from raw_completejourney.promotions

),

calendar as (

    select * from raw_completejourney.calendar

),

items as (

    select
        product_id,
        created_at
    from raw_completejourney.catalogue

)

select
    cast(promotions.product_id as varchar) || '-' || cast(promotions.store_id as varchar) || '-'
    || cast(promotions.week as varchar) || '-' || promotions.display_location
    || promotions.mailer_location as promotion_id,
    cast(promotions.product_id as varchar) as item_id,
    cast(promotions.store_id as varchar) as market,
    case
        when promotions.mailer_location = '0' then 'display ' || promotions.display_location
        when promotions.display_location = '0' then 'mailer ' || promotions.mailer_location
        else 'display ' || promotions.display_location || ', mailer ' || promotions.mailer_location
    end as kind,
    calendar.starts_at,
    calendar.ends_at,
    -- a promotion of a product that nobody has seen yet is known with the product
    greatest(calendar.starts_at, items.created_at) as known_at
from promotions
inner join calendar on calendar.week = promotions.week
inner join items on items.product_id = promotions.product_id
