-- grain: one row per placement and range of buckets that something is live for
select
    pointers.placement,
    pointers.bucket_from,
    pointers.bucket_to,
    pointers.fence,
    publications.publication_id,
    publications.model_name,
    publications.model_version,
    publications.as_of,
    publications.live_at,
    publications.items_shown,
    publications.user_count,
    publications.row_count,
    publications.checksum
from recsys.pointers as pointers
inner join recsys.publications as publications
    on publications.publication_id = pointers.publication_id
order by pointers.placement, pointers.bucket_from
