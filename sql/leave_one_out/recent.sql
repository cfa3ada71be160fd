-- One row per customer and product of their $reach last events before the cut; recency: 1 for the last event.
select
    user_idx,
    item_idx,
    min(recency) as recency
from (
    select
        user_idx,
        item_idx,
        row_number() over (partition by user_idx order by occurred_at desc) as recency
    from events
)
where recency <= $reach
group by user_idx, item_idx
order by user_idx, recency
