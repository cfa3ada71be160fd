-- One row per class of rows that the mapping changed, marked or left out.

with lines as (

    select * from raw_completejourney.lines

),

catalogue as (

    select * from raw_completejourney.catalogue

),

coupon_counts as (

    select
        (select count(*) from raw_completejourney.coupons) as raw_count,
        (
            select count(*) from (
                select distinct coupon_upc, campaign_id, product_id from raw_completejourney.coupons
            ) as distinct_coupons
        ) as distinct_count,
        (select count(*) from shop.coupons) as kept_count

),

promotion_counts as (

    select
        (select count(*) from raw_completejourney.promotions) as raw_count,
        (select count(*) from shop.promotions) as kept_count

)

select
    'duplicate_lines' as rule,
    'lines of one basket and product are merged into one' as reason,
    cast(coalesce(sum(line_count - 1), 0) as bigint) as row_count
from lines

union all

select
    'non_positive_quantity',
    'lines without a positive quantity carry coupons and corrections; they are no purchases',
    count(*)
from lines
where not is_purchase

union all

select
    'returns',
    'lines with a negative quantity; the data has none, a return would be counted here',
    count(*)
from lines
where till_quantity < 0

union all

select
    'free_purchase',
    'purchases whose discounts leave nothing to pay; kept, without a price',
    count(*)
from lines
where is_free

union all

select
    'sold_by_volume',
    'fuel and the like in thousandths of a gallon (above 48); kept with quantity 1, without a price',
    count(*)
from lines
where is_sold_by_volume

union all

select
    'quantity_outlier',
    'quantities above 48 are capped there; what the till said is in attributes',
    count(*)
from lines
where is_capped

union all

select
    'price_outlier',
    'paid prices below 0.01 or above 300 are left empty',
    count(*)
from lines
where is_price_outlier

union all

select
    'non_merchandise',
    'products that are fuel, coupons or miscellaneous; marked not recommendable',
    count(*)
from catalogue
where not is_merchandise and not is_uncategorised

union all

select
    'uncategorised',
    'products without department or category, or missing from the list of products; marked not recommendable',
    count(*)
from catalogue
where is_uncategorised

union all

select
    'missing_title',
    'products without a type; titled by their number',
    count(*)
from catalogue
where is_untitled

union all

select
    'duplicate_coupons',
    'coupons listed twice for one campaign and product; merged',
    raw_count - distinct_count
from coupon_counts

union all

select
    'coupons_of_unseen_products',
    'coupons for products that were never seen at a till; left out',
    distinct_count - kept_count
from coupon_counts

union all

select
    'promotions_of_unseen_products',
    'promotions of products that were never seen at a till; left out',
    raw_count - kept_count
from promotion_counts
