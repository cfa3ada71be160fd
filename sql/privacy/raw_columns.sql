-- grain: one row per column of a table that isn't a view
select
    columns.table_schema,
    columns.table_name,
    columns.column_name
from information_schema.columns as columns
inner join information_schema.tables as tables
    on tables.table_schema = columns.table_schema and tables.table_name = columns.table_name
where tables.table_type = 'BASE TABLE'
order by columns.table_schema, columns.table_name, columns.column_name
