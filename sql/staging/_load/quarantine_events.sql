insert into shop.quarantine (source_table, "row", rule, run_id, seen_at)
select
    'shop.events',
    to_json(incoming),
    broken_rule,
    '{load_id}',
    timestamp '{now}'
from recsys_incoming as incoming
where broken_rule is not null
