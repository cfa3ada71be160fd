-- One row per customer: the cut is at their $held-th last event, which is the first thing not known. Customers of fewer
-- than three events are never measured, so all of theirs is known; so is all but the last two events of customers who
-- have not one more than $held.
with counted as (
    select
        user_idx,
        occurred_at,
        row_number() over (partition by user_idx order by occurred_at desc) as from_last,
        count(*) over (partition by user_idx) as event_count
    from all_events
),

chosen as (
    select
        *,
        case when event_count > $held then $held else least($held, event_count - 1) end as held
    from counted
)

select
    0 as cut_id,
    user_idx as subject_id,
    case when event_count < 3 then max(occurred_at) + interval 1 microsecond
        else max(occurred_at) filter (from_last = held) end as cut_at
from chosen
group by user_idx, event_count
order by user_idx
