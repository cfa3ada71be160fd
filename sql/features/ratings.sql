-- One row per customer and product that the customer rated before the cut: the newest rating (of equally new ones: the
-- highest).
select
    events.user_idx,
    events.item_idx,
    cast(arg_max(events.value, (events.occurred_at, events.value)) as double) as rating
from events
inner join cuts on events.user_idx = cuts.subject_id
where
    events.event_type in ('rating', 'review')
    and events.value is not null
    and events.item_idx is not null
    and events.occurred_at < cuts.cut_at
    and events.known_at < cuts.cut_at
group by events.user_idx, events.item_idx
order by events.user_idx, events.item_idx
