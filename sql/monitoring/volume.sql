-- grain: one row per event type of a snapshot; events of the newest days and of the days before them
with all_events as (
    select event_type, occurred_at from events
    union all
    select event_type, occurred_at from guest_events
)

select
    event_type,
    count(*) filter (occurred_at >= $recent_from) as recent,
    count(*) filter (occurred_at < $recent_from) as earlier
from all_events
where occurred_at >= $baseline_from and occurred_at < $as_of
group by event_type
order by event_type
