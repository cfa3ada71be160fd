-- One row: events there are, those that a snapshot as of a moment did not hold, and when the newest occurred.
select
    count(*) as all_events,
    count(*) filter (where coalesce(recorded_at, occurred_at) >= :as_of or occurred_at >= :as_of) as new_events,
    max(occurred_at) as newest_at
from shop.events
where occurred_at <= :latest_allowed
