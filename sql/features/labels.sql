-- One row per customer and product bought in the $horizon_days days after the cut by customers with a purchase
-- before it. is_new: the customer had no event with it before. is_eligible: it was bought often enough
-- before the cut to be recommended. Products that the shop did not recommend at the cut are left out.
with window_purchases as (
    select distinct
        events.user_idx,
        events.item_idx
    from events
    inner join cuts on events.user_idx = cuts.subject_id
    where
        events.event_type = 'purchase'
        and events.item_idx is not null
        and events.occurred_at >= cuts.cut_at
        and events.occurred_at < cuts.cut_at + to_days($horizon_days::integer)
        and (
            events.undone_at is null
            or events.undone_at >= cuts.cut_at + to_days($horizon_days::integer)
        )
),

known_users as (
    select distinct user_idx
    from purchases
),

touched as (
    select distinct
        events.user_idx,
        events.item_idx
    from events
    inner join cuts on events.user_idx = cuts.subject_id
    where events.item_idx is not null and events.occurred_at < cuts.cut_at and events.known_at < cuts.cut_at
)

select
    window_purchases.user_idx,
    window_purchases.item_idx,
    touched.item_idx is null as is_new,
    eligible.item_idx is not null as is_eligible
from window_purchases
inner join known_users on window_purchases.user_idx = known_users.user_idx
inner join items_at_cut on window_purchases.item_idx = items_at_cut.item_idx
left join touched
    on window_purchases.user_idx = touched.user_idx and window_purchases.item_idx = touched.item_idx
left join eligible on window_purchases.item_idx = eligible.item_idx
where items_at_cut.recommendable
order by window_purchases.user_idx, window_purchases.item_idx
