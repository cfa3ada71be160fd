-- One row per product seen at a till: its names in readable form, and when it was first and last seen.

with lines as (

    select * from raw_completejourney.lines

),

products as (

    select * from raw_completejourney.products

),

seen as (

    select
        product_id,
        min(occurred_at) as created_at
    from lines
    group by product_id

),

priced as (

    select
        product_id,
        price,
        row_number() over (
            partition by product_id order by occurred_at desc, basket_id desc
        ) as newest_first
    from lines
    where price is not null

),

readable as (

    select
        product_id,
        manufacturer_id,
        department,
        product_category,
        product_type,
        package_size,
        brand,
        -- the till cuts names at 30 characters: what is left of an open bracket goes
        trim(regexp_replace(replace(initcap(product_type), '''S', '''s'), '\s*\([^)]*$', '')) as type_name,
        initcap(product_category) as category_name,
        initcap(department) as department_name,
        lower(package_size) as size_name
    from products

)

select
    seen.product_id,
    seen.created_at,
    priced.price,
    readable.manufacturer_id,
    readable.department,
    readable.product_category,
    readable.product_type,
    readable.package_size,
    coalesce(readable.type_name, '') = '' as is_untitled,
    -- many products share a type and a size, so the number tells them apart
    case
        when coalesce(readable.type_name, '') = '' then 'Product ' || cast(seen.product_id as varchar)
        else readable.type_name || coalesce(', ' || readable.size_name, '')
            || ', no. ' || cast(seen.product_id as varchar)
    end as title,
    case
        when readable.category_name is not null
            then readable.department_name || ' > ' || readable.category_name
            || case when coalesce(readable.type_name, '') = '' then '' else ' > ' || readable.type_name end
    end as category,
    readable.brand || ' ' || cast(readable.manufacturer_id as varchar) as brand,
    readable.product_category is null or readable.department is null as is_uncategorised,
    coalesce(
        readable.product_category is not null
        and readable.department not in ('FUEL', 'COUPON', 'MISCELLANEOUS')
        and readable.product_category not in (
            'COUPON/MISC ITEMS', 'COUPONS/STORE & MFG', 'COUPON', 'FUEL', 'MISCELLANEOUS'
        ),
        false
    ) as is_merchandise
from seen
left join readable on readable.product_id = seen.product_id
left join priced on priced.product_id = seen.product_id and priced.newest_first = 1
