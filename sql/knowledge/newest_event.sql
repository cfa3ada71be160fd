-- One row: when the newest event occurred that is not of the future.
select max(occurred_at) as newest_at
from shop.events
where occurred_at <= :now
