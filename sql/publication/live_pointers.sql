-- grain: one row per placement and range of buckets that something is live for, and one more per running canary
-- Of a range, a customer is in the canary if the hash of salt and id is at most highest_hash.
with
running as (
    select placement, publication_id, salt, highest_hash, share, fence
    from recsys.canaries
    where status = 'running' and highest_hash <> ''
),

served as (
    select placement, bucket_from, bucket_to, fence, publication_id, false as is_canary
    from recsys.pointers
    union all
    select placement, cast(0 as smallint), cast(4095 as smallint), fence, publication_id, true
    from running
)

select
    served.placement,
    served.bucket_from,
    served.bucket_to,
    served.fence,
    served.is_canary,
    running.salt,
    running.highest_hash,
    running.share as canary_share,
    publications.publication_id,
    publications.model_name,
    publications.model_version,
    publications.as_of,
    publications.live_at,
    publications.items_shown,
    publications.user_count,
    publications.row_count,
    publications.checksum,
    publications.base_publication_id,
    publications.own_row_count
from served
inner join recsys.publications as publications
    on publications.publication_id = served.publication_id
left join running on running.placement = served.placement
order by served.placement, served.is_canary, served.bucket_from
