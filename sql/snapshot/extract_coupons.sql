-- One row per coupon, campaign and product that was known before :as_of; it is judged, and in no snapshot.
-- Products that came later are left out with them.
with products as (
    select
        item_id,
        min(valid_from) as exists_from
    from shop.item_versions
    group by item_id
)

select
    coupons.coupon_id,
    coupons.campaign_id,
    coupons.item_id,
    coupons.known_at
from shop.coupons as coupons
left join products on coupons.item_id = products.item_id
where coupons.known_at < :as_of and (products.exists_from is null or products.exists_from < :as_of)
