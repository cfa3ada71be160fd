-- One row per row of the file, each cell as its type, null where it can't be read as that. A timestamp that is a number
-- is seconds since 1970, or milli-, micro- or nanoseconds, whichever makes the greatest of them a time of our days.
with bounds as (
    select max(abs(try_cast(timestamp_text as double))) as greatest
    from texts
),

units as (
    select
        case
            when greatest < 1e11 then 1e6
            when greatest < 1e14 then 1e3
            when greatest < 1e17 then 1
            else 1e-3
        end as microseconds
    from bounds
),

numbers as (
    select
        texts.*,
        units.microseconds,
        try_cast(texts.timestamp_text as double) as timestamp_number,
        try_cast(texts.order_text as double) as order_number,
        try_cast(texts.value_text as double) as value_number
    from texts
    cross join units
)

select
    file_row,
    user_id,
    item_id,
    timestamp_text,
    order_text,
    value_text,
    event_type,
    case
        when timestamp_number is null then timezone('UTC', try_cast(timestamp_text as timestamptz))
        when isfinite(timestamp_number) and abs(timestamp_number * microseconds) < 9e18
            then make_timestamp(cast(timestamp_number * microseconds as bigint))
    end as happened_at,
    case when isfinite(order_number) then order_number end as place,
    case when isfinite(value_number) then value_number end as value
from numbers
