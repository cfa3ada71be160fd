-- One row per table, rule and run of what is in quarantine.
select
    source_table,
    rule,
    run_id,
    count(*) as row_count,
    min(seen_at) as seen_from,
    max(seen_at) as seen_until
from shop.quarantine
group by source_table, rule, run_id
order by source_table, rule, run_id
