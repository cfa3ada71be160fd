-- The four roles of a warehouse on PostgreSQL, none of which logs in. Once for each database, by a superuser:
--   psql -v ON_ERROR_STOP=1 -d WAREHOUSE -f roles.postgresql.sql
-- Then make users with one role each; what the owner's user makes must belong to the role:
--   create role etl_admin login password '...' in role recsys_owner;  alter role etl_admin set role recsys_owner;
--   create role web login password '...' in role recsys_read;

do $$
declare
    name text;
begin
    foreach name in array array['recsys_owner', 'recsys_extract', 'recsys_publish', 'recsys_read'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I nologin', name);
        end if;
    end loop;
    -- Migrations make schemas; a load of files makes tables. Nobody else makes any, not even temporary ones.
    execute format('grant create, temporary on database %I to recsys_owner', current_database());
    execute format('revoke temporary on database %I from public', current_database());
end
$$;

revoke create on schema public from public;
