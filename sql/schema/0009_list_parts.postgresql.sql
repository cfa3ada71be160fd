-- Lists are stored in parts: one for the new lists of each publication. A part is loaded before it has an index, is
-- attached without a look at the others and without blocking readers, and is dropped whole when no publication that is
-- kept names a list in it. The embedded engine loads and removes quickly without.
-- The functions run with the rights of who migrates, so that who publishes needs none to make or drop tables.

-- Readers of a period skip the blocks of others: an index of a few kilobytes that costs loading next to nothing.
create index events_by_occurrence on shop.events using brin (occurred_at);

create index events_by_record on shop.events using brin (coalesce(recorded_at, occurred_at));

do $$
declare
    dependent record;
    views jsonb := '[]';
begin
    -- Views are bound to a table, not to its name: they are made anew over the one that takes its place.
    for dependent in
        select distinct
            classes.oid,
            format('%I.%I', schemas.nspname, classes.relname) as name,
            pg_get_viewdef(classes.oid) as body,
            obj_description(classes.oid) as remark
        from pg_depend as depends
        inner join pg_rewrite as rules on rules.oid = depends.objid
        inner join pg_class as classes on classes.oid = rules.ev_class and classes.relkind = 'v'
        inner join pg_namespace as schemas on schemas.oid = classes.relnamespace
        where depends.refobjid = 'recsys.list_rows'::regclass
    loop
        views := views || jsonb_build_object('name', dependent.name, 'body', dependent.body, 'remark', dependent.remark);
        execute 'drop view ' || dependent.name;
    end loop;
    alter table recsys.list_rows rename to list_rows_0;
    alter index recsys.list_rows_by_subject rename to list_rows_0_by_subject;
    alter table recsys.list_rows_0 add column part bigint not null default 0;
    create table recsys.list_rows (like recsys.list_rows_0 including defaults) partition by list (part);
    create index list_rows_by_subject on recsys.list_rows (placement, subject_id, list_hash);
    alter table recsys.list_rows attach partition recsys.list_rows_0 for values in (0);
    execute format('comment on table recsys.list_rows is %L', obj_description('recsys.list_rows_0'::regclass));
    for dependent in select * from jsonb_to_recordset(views) as made (name text, body text, remark text) loop
        execute format('create view %s as %s', dependent.name, dependent.body);
        execute format('comment on view %s is %L', dependent.name, dependent.remark);
    end loop;
end
$$;

comment on table recsys.list_rows_0 is 'rows of before there were parts, and what is inserted without naming one';

create sequence recsys.list_part_numbers;

create table recsys.list_parts (
    part bigint primary key,
    placement text not null
);

comment on table recsys.list_parts is 'one row per part of list_rows, part 0 left out: the placement whose lists it holds.';

-- Makes an empty part that is no part of list_rows yet, and returns its table.
create function recsys.new_list_part(for_placement text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    number bigint := nextval('recsys.list_part_numbers');
    made text := format('list_rows_%s', number);
begin
    execute format('create table recsys.%I (like recsys.list_rows including defaults, check (part = %s))', made, number);
    execute format('alter table recsys.%I alter column part set default %s', made, number);
    execute format('grant insert on recsys.%I to %I', made, session_user);
    insert into recsys.list_parts (part, placement) values (number, for_placement);
    return 'recsys.' || made;
end
$$;

-- Indexes a loaded part and makes it one of list_rows: readers go on, since its check spares a look at the rows.
create function recsys.attach_list_part(made text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    number bigint := substring(made from '^recsys\.list_rows_(\d+)$');
begin
    if not exists (select from recsys.list_parts where part = number) then
        raise exception '% is no part of list_rows', made;
    end if;
    execute format(
        'create index list_rows_%s_by_subject on recsys.list_rows_%s (placement, subject_id, list_hash)', number, number
    );
    execute format('alter table recsys.list_rows attach partition recsys.list_rows_%s for values in (%s)', number, number);
end
$$;

-- Whether a publication of the placement names a list of the part.
create function recsys.uses_list_part(of_placement text, number bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    is_used boolean;
begin
    execute format(
        'select exists (
            select 1
            from recsys.list_rows_%s as list_rows
            inner join recsys.publication_lists as lists
                on lists.subject_id = list_rows.subject_id and lists.list_hash = list_rows.list_hash
            inner join recsys.publications as publications
                on publications.publication_id = lists.publication_id and publications.placement = %L
            where list_rows.rank = 1
        )',
        number, of_placement
    ) into is_used;
    return is_used;
end
$$;

-- Removes the rows of lists that no publication of the placement names, but for parts that can be dropped whole.
create function recsys.remove_list_orphans(of_placement text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    number bigint;
begin
    for number in
        select part from recsys.list_parts where placement = of_placement union all select 0
    loop
        continue when number > 0 and not recsys.uses_list_part(of_placement, number);
        execute format(
            'delete from recsys.list_rows_%s as list_rows
            where
                list_rows.placement = %L
                and not exists (
                    select 1
                    from recsys.publication_lists as lists
                    inner join recsys.publications as publications
                        on publications.publication_id = lists.publication_id
                    where
                        publications.placement = %L
                        and lists.subject_id = list_rows.subject_id
                        and lists.list_hash = list_rows.list_hash
                )',
            number, of_placement, of_placement
        );
    end loop;
end
$$;

-- Drops the parts of a placement of which no publication names a list, and returns how many. A part that a reader holds
-- for longer than a moment is left for the next time, so that other readers don't queue behind.
create function recsys.drop_unused_list_parts(of_placement text) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '200ms' as $$
declare
    number bigint;
    dropped integer := 0;
begin
    for number in select part from recsys.list_parts where placement = of_placement order by part loop
        continue when recsys.uses_list_part(of_placement, number);
        begin
            execute format('drop table recsys.list_rows_%s', number);
            delete from recsys.list_parts where part = number;
            dropped := dropped + 1;
        exception
            when lock_not_available then return dropped;
        end;
    end loop;
    return dropped;
end
$$;

revoke all on function
    recsys.new_list_part(text),
    recsys.attach_list_part(text),
    recsys.uses_list_part(text, bigint),
    recsys.remove_list_orphans(text),
    recsys.drop_unused_list_parts(text)
from public;
