-- One row per table and view of shop and recsys: what the connected role may do with it. PostgreSQL only, and from
-- its catalogue: information_schema leaves out what the role may not see at all.
select
    namespaces.nspname as table_schema,
    relations.relname as table_name,
    relations.relkind in ('r', 'p') as is_table,
    has_schema_privilege(namespaces.oid, 'usage') as can_enter,
    has_table_privilege(relations.oid, 'select') as can_read,
    has_table_privilege(relations.oid, 'insert') as can_add,
    has_table_privilege(relations.oid, 'update') as can_change
from pg_class as relations
inner join pg_namespace as namespaces on namespaces.oid = relations.relnamespace
where namespaces.nspname in ('shop', 'recsys') and relations.relkind in ('r', 'p', 'v')
order by table_schema, table_name
