-- What many lists were just written to is not known to the planner, which takes them for a few and compares each with
-- each. It is told of them, or kept from that.

-- Whether a publication of the placement names a list of the part: mostly one of its first.
create or replace function recsys.uses_list_part(of_placement text, number bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_nestloop = off as $$
declare
    query text := '
        select exists (
            select 1
            from (select subject_id, list_hash from recsys.list_rows_%s where rank = 1 limit %s) as stored
            inner join recsys.publications as publications on publications.placement = %L
            inner join recsys.publication_lists as lists
                on lists.publication_id = publications.publication_id
                and lists.subject_id = stored.subject_id
                and lists.list_hash = stored.list_hash
        )';
    is_used boolean;
begin
    execute format(query, number, '100', of_placement) into is_used;
    if not is_used then
        execute format(query, number, 'all', of_placement) into is_used;
    end if;
    return is_used;
end
$$;

alter function recsys.remove_list_orphans(text) set enable_nestloop = off;

-- Counts all lists anew unless those of a publication were there when that was done last, as the server itself does
-- within minutes. Returns whether they were counted.
create function recsys.count_lists_of(publication text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (
        select 1
        from pg_stats
        where
            schemaname = 'recsys'
            and tablename = 'publication_lists'
            and attname = 'publication_id'
            and publication = any(most_common_vals::text::text[])
    ) then
        return false;
    end if;
    analyze recsys.publication_lists;
    return true;
end
$$;

revoke all on function recsys.count_lists_of(text) from public;
