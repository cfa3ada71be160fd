-- One row per customer whose $held-th last event can be asked for: at least three events, and one before it.
select
    user_idx,
    item_idx
from (
    select
        user_idx,
        item_idx,
        row_number() over (partition by user_idx order by occurred_at desc) as from_last,
        count(*) over (partition by user_idx) as event_count
    from read_parquet($files)
)
where event_count >= 3 and event_count > $held and from_last = $held
order by user_idx
