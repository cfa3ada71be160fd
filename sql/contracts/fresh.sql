-- One row: the events that became known in [$since, $until), without those that many rows together show to be
-- implausible (the bits of $crowd), and how many of them break a rule of their own (the bits of $rejecting).
select
    count(*) as rows,
    count(*) filter (broken & $rejecting <> 0) as rejected
from checked_events
where known_at >= $since and known_at < $until and (broken & $crowd = 0 or broken & $rejecting <> 0)
