-- Run by DuckDB over the files of a publication.
-- grain: one row per bucket and subject
-- A row without a propensity adds nothing for it, so lists keep the hash that they had before there was one.
-- Sums of integers, so the hash does not depend on the order in which threads read; the rank is in the text.
select
    bucket,
    subject_id,
    cast(
        sum(
            md5_number_upper(
                concat_ws(
                    chr(31),
                    rank,
                    coalesce(item_id, chr(30)),
                    coalesce(cast(score as varchar), chr(30)),
                    coalesce(source, chr(30)),
                    coalesce(reason, chr(30)),
                    cast(propensity as varchar)
                )
            )
        ) % 9223372036854775783 as bigint
    ) as list_hash
from incoming
group by bucket, subject_id
