-- The live recommendations in any DuckDB: run this file, then read recsys.live_recommendations.
-- It is replaced whenever something else goes live. A view made by an older version keeps working until the
-- publication after the next one, so run the file anew at the start of each job.
create or replace view live_recommendations as
with
pointed as (
    select
        placement,
        bucket_from,
        bucket_to,
        is_canary,
        salt,
        highest_hash,
        publication_id,
        model_version,
        as_of,
        items_shown,
        base_publication_id
    from read_parquet($pointers)
),

sources as (
    select *, publication_id as source_id, cast(null as varchar) as newer_id
    from pointed
    union all
    select *, base_publication_id, publication_id
    from pointed
    where base_publication_id is not null
),

list_rows as (
    -- By name: the files of a publication that was made before there was a propensity lack it.
    select publication_id, bucket, subject_id, rank, item_id, score, source, reason, propensity
    from read_parquet([$lists], union_by_name = true)
),

-- Whose lists of a base don't count, since the publication that is built on it has newer ones.
newer as (
    select publication_id, subject_id
    from read_parquet([$newer_lists])
    where rank = 1
),

unsuppressed as (
    select
        sources.placement,
        list_rows.subject_id,
        list_rows.item_id,
        list_rows.score,
        list_rows.source,
        list_rows.reason,
        list_rows.propensity,
        sources.publication_id,
        sources.model_version,
        sources.as_of,
        sources.items_shown,
        row_number() over (
            partition by sources.placement, list_rows.subject_id order by list_rows.rank
        ) as shown_rank
    from sources
    inner join list_rows
        on list_rows.publication_id = sources.source_id
        and list_rows.bucket between sources.bucket_from and sources.bucket_to
    anti join newer
        on newer.publication_id = sources.newer_id
        and newer.subject_id = list_rows.subject_id
    where
        (
            list_rows.bucket = -1
            or (
                sources.is_canary = case
                    when sources.salt is null then false
                    else substr(md5(sources.salt || ':' || list_rows.subject_id), 1, 8) <= sources.highest_hash
                end
                and list_rows.subject_id not in (select user_id from read_parquet($hidden_users))
            )
        )
        and not exists (
            select 1
            from read_parquet($suppressed_items) as rules
            where
                rules.item_id = list_rows.item_id
                and (rules.placement is null or rules.placement = sources.placement)
                and rules.starts_at <= (now() at time zone 'UTC')
                and (rules.ends_at is null or rules.ends_at > (now() at time zone 'UTC'))
        )
)

select
    placement,
    subject_id as user_id,
    cast(shown_rank as integer) as rank,
    item_id,
    score,
    source,
    reason,
    publication_id,
    model_version,
    as_of,
    propensity
from unsuppressed
where shown_rank <= items_shown;
