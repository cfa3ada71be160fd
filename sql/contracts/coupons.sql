-- One row per extracted product of a coupon; nth numbers the rows of one coupon_id, campaign_id, item_id.
select
    judged.*,
    row_number() over (
        partition by judged.coupon_id, judged.campaign_id, judged.item_id
        order by to_json(judged)::varchar
    ) as nth,
    valid_items.item_id is not null as has_item
from extracted_coupons as judged
left join valid_items on judged.item_id = valid_items.item_id
