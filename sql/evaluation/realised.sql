-- Run by DuckDB. One row per customer and product bought from the cut to $until and not brought back before then, of
-- customers with consent and with a purchase before the cut. is_new: the customer had no event with it before.
-- What was bought too seldom before the cut (not in eligible), or was not to be recommended then, is left out.
with
bought as (
    select distinct events.user_idx, events.item_idx
    from events
    inner join cuts on cuts.subject_id = events.user_idx
    inner join users on users.user_idx = events.user_idx
    where
        events.event_type = 'purchase'
        and events.item_idx is not null
        and events.occurred_at >= cuts.cut_at
        and events.occurred_at < $until
        and (events.undone_at is null or events.undone_at >= $until)
        and users.is_personalised
),

known_users as (
    select distinct user_idx
    from purchases
),

touched as (
    select distinct events.user_idx, events.item_idx
    from events
    inner join cuts on cuts.subject_id = events.user_idx
    where events.item_idx is not null and events.occurred_at < cuts.cut_at and events.known_at < cuts.cut_at
)

select bought.user_idx, bought.item_idx, touched.item_idx is null as is_new
from bought
inner join known_users on known_users.user_idx = bought.user_idx
inner join items_at_cut on items_at_cut.item_idx = bought.item_idx
inner join eligible on eligible.item_idx = bought.item_idx
left join touched on touched.user_idx = bought.user_idx and touched.item_idx = bought.item_idx
where items_at_cut.recommendable
order by bought.user_idx, bought.item_idx
