-- One row per day from which on a snapshot as of :as_of has events: how many, and the sum of their hashes, which does
-- not depend on their order.
select
    visible_day,
    count(*) as row_count,
    cast(sum(row_hash) as text) as row_hashes
from (
{events}
) as events
where visible_at < :as_of
group by visible_day
