-- One row: what the file held and what was done about it.
with neighbours as (
    select
        user_id,
        coalesce(happened_at < lag(happened_at) over in_file, false)
        or (not $has_timestamp and coalesce(place < lag(place) over in_file, false)) as goes_back
    from typed
    window in_file as (partition by user_id order by file_row)
),

read_rows as (
    select
        count(*) as row_count,
        count(*) filter (event_type not in (select unnest($counted_types))) as uncounted
    from typed
),

backward as (
    select
        count(*) filter (goes_back) as row_count,
        count(distinct user_id) filter (goes_back) as customer_count
    from neighbours
),

kept as (
    select
        count(*) as row_count,
        count(distinct user_id) as customer_count,
        count(distinct item_id) as item_count,
        count(*) - count(distinct (user_id, happened_at, place)) as simultaneous
    from interactions
),

customers as (
    select
        count(*) filter (event_count = 1) as of_one,
        count(*) filter (event_count = 2) as of_two
    from (select count(*) as event_count from interactions group by user_id)
)

select
    read_rows.row_count as rows_read,
    read_rows.uncounted as rows_of_uncounted_types,
    read_rows.row_count - read_rows.uncounted - kept.row_count as duplicate_rows,
    backward.row_count as rows_back_in_time,
    backward.customer_count as customers_back_in_time,
    kept.simultaneous as rows_at_one_time,
    kept.row_count as events,
    kept.customer_count as customers,
    kept.item_count as items,
    customers.of_one as customers_of_one_event,
    customers.of_two as customers_of_two_events
from read_rows
cross join backward
cross join kept
cross join customers
