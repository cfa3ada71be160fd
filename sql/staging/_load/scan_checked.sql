select
    {columns},
    {name} as recsys_file,
    row_number() over () as recsys_row,
    {rule} as recsys_rule,
    case when {rule} is not null then json_object({cells}) end as recsys_cells
from {relation}
