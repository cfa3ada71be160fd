-- grain: user_idx, item_idx
-- own_times: how often the customer turned to the product
-- own_recency: events since they last did, 1 for the last event
-- own_interval: mean number of events from one time to the next
with ordered as (
    select
        user_idx,
        item_idx,
        row_number() over (partition by user_idx order by occurred_at desc) as from_end
    from events
)

select
    user_idx,
    item_idx,
    count(*) as own_times,
    min(from_end) as own_recency,
    (max(from_end) - min(from_end)) / nullif(count(*) - 1, 0) as own_interval
from ordered
group by user_idx, item_idx
order by user_idx, item_idx
