-- One row per event that is kept, in the order in which its customer's events happened: by time, then order, then place
-- in the file. Of rows that say the same about customer, product, time and type the first is kept. occurred_at grows
-- strictly within a customer: what the file has at one time is one microsecond apart; where there is only an
-- order, the position is counted in days. event_type: $strongest counts as purchase where the file has none.
with told as (
    select *
    from typed
    where event_type in (select unnest($counted_types))
    qualify row_number() over (
        partition by user_id, item_id, event_type, happened_at, place order by file_row
    ) = 1
),

placed as (
    select
        *,
        row_number() over (partition by user_id order by happened_at, place, file_row) - 1 as position
    from told
),

moments as (
    select
        *,
        case
            when $has_timestamp then max(happened_at - to_microseconds(position)) over (
                partition by user_id order by position
            ) + to_microseconds(position)
            else timestamp '2000-01-01' + to_days(cast(position as integer))
        end as occurred_at
    from placed
)

select
    file_row,
    user_id,
    item_id,
    case when event_type = $strongest then 'purchase' else event_type end as event_type,
    happened_at,
    place,
    occurred_at,
    value
from moments
