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
        items_shown
    from read_parquet($pointers)
),

list_rows as (
    -- By name: the files of a publication that was made before there was a propensity lack it.
    select publication_id, bucket, subject_id, rank, item_id, score, source, reason, propensity
    from read_parquet([$lists], union_by_name = true)
),

unsuppressed as (
    select
        pointed.placement,
        list_rows.subject_id,
        list_rows.item_id,
        list_rows.score,
        list_rows.source,
        list_rows.reason,
        list_rows.propensity,
        pointed.publication_id,
        pointed.model_version,
        pointed.as_of,
        pointed.items_shown,
        row_number() over (
            partition by pointed.placement, list_rows.subject_id order by list_rows.rank
        ) as shown_rank
    from pointed
    inner join list_rows
        on list_rows.publication_id = pointed.publication_id
        and list_rows.bucket between pointed.bucket_from and pointed.bucket_to
    where
        (
            list_rows.bucket = -1
            or (
                pointed.is_canary = case
                    when pointed.salt is null then false
                    else substr(md5(pointed.salt || ':' || list_rows.subject_id), 1, 8) <= pointed.highest_hash
                end
                and list_rows.subject_id not in (select user_id from read_parquet($hidden_users))
            )
        )
        and not exists (
            select 1
            from read_parquet($suppressed_items) as rules
            where
                rules.item_id = list_rows.item_id
                and (rules.placement is null or rules.placement = pointed.placement)
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
