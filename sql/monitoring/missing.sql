-- grain: one row per column of a snapshot that may lack values; what a snapshot puts in place of a missing value counts
with happened as (
    select item_idx, event_type, value, basket_id, market from events
    union all
    select item_idx, event_type, value, basket_id, market from guest_events
)

select
    'events' as table_name,
    unnest(['item', 'purchase_value', 'basket_id', 'market']) as column_name,
    unnest([
        count(*) filter (event_type <> 'search'),
        count(*) filter (event_type = 'purchase'),
        count(*) filter (event_type = 'purchase'),
        count(*)
    ]) as all_rows,
    unnest([
        count(*) filter (event_type <> 'search' and item_idx is null),
        count(*) filter (event_type = 'purchase' and coalesce(value, 0) = 0),
        count(*) filter (event_type = 'purchase' and basket_id is null),
        count(*) filter (market is null)
    ]) as missing
from happened
union all
select
    'items',
    unnest(['title', 'category', 'brand', 'attributes']),
    unnest([count(*), count(*), count(*), count(*)]),
    unnest([
        count(*) filter (title = 'Product ' || item_id),
        count(*) filter (category = ''),
        count(*) filter (brand = ''),
        count(*) filter (attributes = '')
    ])
from items
union all
select
    'users',
    unnest(['segment', 'attributes']),
    unnest([count(*), count(*)]),
    unnest([
        count(*) filter (segment = 'unknown'),
        count(*) filter (attributes = '')
    ])
from users
