-- One row per purchase line that was known before its customer's cut and not taken back by then.
-- age: days from the purchase to the cut.
select
    cuts.cut_id,
    cuts.cut_at,
    events.user_idx,
    events.item_idx,
    events.occurred_at,
    events.basket_id,
    events.market,
    events.quantity,
    events.value,
    epoch(cuts.cut_at - events.occurred_at) / 86400.0 as age
from events
inner join cuts on events.user_idx = cuts.subject_id
where
    events.event_type = 'purchase'
    and events.item_idx is not null
    and events.occurred_at < cuts.cut_at
    and events.known_at < cuts.cut_at
    and (events.undone_at is null or events.undone_at >= cuts.cut_at)
