-- One row per product of chosen_items, as it was at the cut that is laid: what shaping needs to know of it.
-- rated holds each customer's newest rating of a product before the cut. ratings: how many there are. mean_rating: their
-- mean, as a part of the scale from the lowest rating in the shop (0) to the highest (1); null where there is none, or
-- all are equal.
with scale as (
    select
        min(rating) as lowest,
        max(rating) as highest
    from rated
),

judged as (
    select
        item_idx,
        count(*) as ratings,
        -- as decimals, so that the mean does not depend on the order of the sum
        cast(sum(cast(rating as decimal(18, 4))) as double) / count(*) as mean
    from rated
    group by item_idx
)

select
    items.item_idx,
    items.title,
    items_at_cut.category,
    items_at_cut.brand,
    items_at_cut.recommendable and (items.recommendable or not $for_serving) as available,
    cast(coalesce(judged.ratings, 0) as integer) as ratings,
    (judged.mean - scale.lowest) / nullif(scale.highest - scale.lowest, 0) as mean_rating
from chosen_items
inner join items on chosen_items.item_idx = items.item_idx
inner join items_at_cut on chosen_items.item_idx = items_at_cut.item_idx
left join judged on items.item_idx = judged.item_idx
cross join scale
order by items.item_idx
