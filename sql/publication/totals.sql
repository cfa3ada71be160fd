-- Run by DuckDB over the rows of a publication: the files, or what was read back from the warehouse.
-- grain: one row
-- The checksum is a sum over rows whose text holds bucket, subject and rank, hence their order.
with
texts as (
    select
        bucket,
        subject_id,
        rank,
        concat_ws(
            chr(31),
            bucket,
            subject_id,
            rank,
            coalesce(item_id, chr(30)),
            coalesce(cast(score as varchar), chr(30)),
            coalesce(source, chr(30)),
            coalesce(reason, chr(30)),
            cast(propensity as varchar)
        ) as row_text
    from publication_rows
)

select
    count(*) as row_count,
    count(distinct subject_id) filter (where bucket >= 0) as user_count,
    count(*) filter (where bucket is null or subject_id is null or rank is null) as keyless_count,
    cast(coalesce(sum(md5_number_upper(row_text)), 0) as varchar) as checksum
from texts
