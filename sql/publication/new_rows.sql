-- Run by DuckDB: the rows of lists that the warehouse does not hold yet.
-- grain: one row per subject and rank
select
    $placement as placement,
    incoming.subject_id,
    list_hashes.list_hash,
    incoming.rank,
    incoming.item_id,
    incoming.score,
    incoming.source,
    incoming.reason,
    incoming.propensity
from incoming
inner join list_hashes
    on list_hashes.bucket = incoming.bucket and list_hashes.subject_id = incoming.subject_id
where not exists (
    select 1
    from stored_lists
    where stored_lists.subject_id = incoming.subject_id and stored_lists.list_hash = list_hashes.list_hash
)
order by incoming.bucket, incoming.subject_id, incoming.rank
