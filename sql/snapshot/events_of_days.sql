-- One row per event that a snapshot as of :as_of has since one of the days, which are numbers between commas.
select *
from (
{events}
) as events
where visible_at < :as_of and position(',' || cast(visible_day as text) || ',' in :days) > 0
