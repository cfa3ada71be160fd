-- One row per place that round $round gives away: products of lists that still have a place, in the order of draw (a
-- hash of customer and product), as long as neither the product nor its brand has all the places that it may take,
-- those among them that lists which stay as they are have taken (places_taken).
-- Explored rows come in round 0, every other row in the round of its rank.
with open_rows as (
    select
        waiting.subject_id,
        waiting.rank,
        waiting.item_id,
        waiting.brand,
        waiting.draw
    from waiting
    left join (
        select
            subject_id,
            count(*) as places
        from admitted
        group by subject_id
    ) as filled
        on waiting.subject_id = filled.subject_id
    where waiting.round = $round and coalesce(filled.places, 0) < $shown
),

used as (
    select
        item_id,
        brand,
        1 as places
    from admitted
    union all
    select
        item_id,
        brand,
        places
    from places_taken
),

items_used as (
    select
        item_id,
        sum(places) as places
    from used
    group by item_id
),

within_item_cap as (
    select open_rows.*
    from open_rows
    left join items_used on open_rows.item_id = items_used.item_id
    qualify row_number() over (partition by open_rows.item_id order by open_rows.draw, open_rows.subject_id)
        + coalesce(items_used.places, 0) <= $item_places
),

brands_used as (
    select
        brand,
        sum(places) as places
    from used
    where brand <> ''
    group by brand
)

-- A row that the product's cap let through and the brand's refuses leaves no place behind that another row of the
-- product could take: that one is of the same brand.
select
    within_item_cap.subject_id,
    within_item_cap.rank,
    within_item_cap.item_id,
    within_item_cap.brand
from within_item_cap
left join brands_used on within_item_cap.brand = brands_used.brand
qualify within_item_cap.brand = ''
    or row_number() over (partition by within_item_cap.brand order by within_item_cap.draw, within_item_cap.subject_id)
    + coalesce(brands_used.places, 0) <= $brand_places
