-- grain: one row
select coalesce(max(decision_number), 0) as decision_number
from recsys.decisions
