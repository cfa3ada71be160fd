-- One row per event that a snapshot as of :as_of has and one as of :since had not, and those no clock allows (for
-- quarantine). What is compared with :since are columns that a server may have indexes on.
select *
from (
{events}
) as events
where
    ((occurred_at >= :since or known_at >= :since) and visible_at < :as_of)
    or (visible_at >= :as_of and occurred_at > :latest_allowed)
    or occurred_at is null
