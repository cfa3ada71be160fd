create view {table} as
select {columns}
from {checked}
where recsys_rule is null
order by recsys_file, recsys_row
