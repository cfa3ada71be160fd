insert into recsys_rejected
select
    {table},
    cast(json_object('file', recsys_file, 'row', recsys_row, 'cells', recsys_cells) as varchar),
    recsys_rule
from {checked}
where recsys_rule is not null
