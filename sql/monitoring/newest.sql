-- One row: when monitoring last measured, and in which run.
select
    measured_at,
    run_id
from recsys.measurements
order by measured_at desc, run_id desc
limit 1
