-- One row per event before its customer's cut: nothing later is there at all, whatever a query forgets.
select all_events.*
from all_events
inner join cuts on all_events.user_idx = cuts.subject_id
where all_events.occurred_at < cuts.cut_at
order by all_events.user_idx, all_events.occurred_at
