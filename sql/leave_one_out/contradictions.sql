-- One row per event that has a later order than the one before it and an earlier timestamp.
select
    user_id,
    earlier_row,
    earlier_place,
    earlier_at,
    file_row,
    place,
    happened_at
from (
    select
        *,
        lag(file_row) over sequence as earlier_row,
        lag(place) over sequence as earlier_place,
        lag(happened_at) over sequence as earlier_at
    from typed
    window sequence as (partition by user_id order by place, happened_at, file_row)
)
where earlier_at > happened_at
order by file_row
