-- One row per customer and product with an event of $event_types in the $horizon_days days after the cut, of customers
-- with a purchase before it. is_new: the customer had no event with it before. is_eligible: it was bought often enough
-- before the cut to be recommended. level: the highest of the events', each type's being in $levels. Products that the
-- shop did not recommend at the cut are left out.
with event_levels as (
    select
        unnest($event_types::varchar []) as event_type,
        unnest($levels::tinyint []) as level
),

window_events as (
    select
        events.user_idx,
        events.item_idx,
        max(event_levels.level) as level
    from events
    inner join cuts on events.user_idx = cuts.subject_id
    inner join event_levels on events.event_type = event_levels.event_type
    where
        events.item_idx is not null
        and events.occurred_at >= cuts.cut_at
        and events.occurred_at < cuts.cut_at + to_days($horizon_days::integer)
        and (
            events.undone_at is null
            or events.undone_at >= cuts.cut_at + to_days($horizon_days::integer)
        )
    group by events.user_idx, events.item_idx
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
    window_events.user_idx,
    window_events.item_idx,
    touched.item_idx is null as is_new,
    eligible.item_idx is not null as is_eligible,
    window_events.level
from window_events
inner join known_users on window_events.user_idx = known_users.user_idx
inner join items_at_cut on window_events.item_idx = items_at_cut.item_idx
left join touched
    on window_events.user_idx = touched.user_idx and window_events.item_idx = touched.item_idx
left join eligible on window_events.item_idx = eligible.item_idx
where items_at_cut.recommendable
order by window_events.user_idx, window_events.item_idx
