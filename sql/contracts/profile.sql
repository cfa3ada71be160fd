-- One row per event type of the valid events that became known in [$since, $until): how many, of guests, what is
-- missing, medians of amounts above zero, and how many in each hour of the day.
with hours as (
    select
        event_type,
        list(rows order by hour) as counts
    from (
        select
            types.event_type,
            clock.hour,
            count(events.event_type) as rows
        from (select distinct event_type from valid_events) as types
        cross join (select unnest(range(24)) as hour) as clock
        left join valid_events as events
            on types.event_type = events.event_type
            and clock.hour = hour(events.occurred_at)
            and events.known_at >= $since
            and events.known_at < $until
        group by types.event_type, clock.hour
    ) as counted
    group by event_type
)

select
    events.event_type,
    count(*) as rows,
    count(*) - count(events.user_id) as missing_user_id,
    count(*) - count(events.quantity) as missing_quantity,
    count(*) - count(events.price) as missing_price,
    count(*) - count(events.value) as missing_value,
    count(*) - count(events.basket_id) as missing_basket_id,
    count(*) - count(events.market) as missing_market,
    median(events.quantity) filter (events.quantity > 0) as median_quantity,
    median(events.price) filter (events.price > 0) as median_price,
    median(events.value) filter (events.value > 0) as median_value,
    any_value(hours.counts) as hours
from valid_events as events
inner join hours on events.event_type = hours.event_type
where events.known_at >= $since and events.known_at < $until
group by events.event_type
order by events.event_type
