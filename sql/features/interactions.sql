-- One row per customer and product with any event that was known before the cut.
-- purchases: lines not taken back; weight: each loses half its value in $half_life days (summed as decimals,
-- so that the result does not depend on the order of the sum).
with touched as (
    select distinct
        events.user_idx,
        events.item_idx
    from events
    inner join cuts on events.user_idx = cuts.subject_id
    where events.item_idx is not null and events.occurred_at < cuts.cut_at and events.known_at < cuts.cut_at
),

bought as (
    select
        user_idx,
        item_idx,
        count(*) as purchases,
        sum(cast(0.5 ** (age / $half_life) as decimal(18, 12))) as weight
    from purchases
    group by user_idx, item_idx
)

select
    touched.user_idx,
    touched.item_idx,
    cast(coalesce(bought.purchases, 0) as integer) as purchases,
    cast(coalesce(bought.weight, 0) as double) as weight
from touched
left join bought on touched.user_idx = bought.user_idx and touched.item_idx = bought.item_idx
order by touched.user_idx, touched.item_idx
