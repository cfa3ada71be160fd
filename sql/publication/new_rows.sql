-- Run by DuckDB: the rows of lists that the warehouse does not hold yet (new_lists), in the order of the files.
-- grain: one row per subject and rank
select
    $placement as placement,
    incoming.subject_id,
    new_lists.list_hash,
    incoming.rank,
    incoming.item_id,
    incoming.score,
    incoming.source,
    incoming.reason,
    incoming.propensity
from incoming
inner join new_lists
    on new_lists.bucket = incoming.bucket and new_lists.subject_id = incoming.subject_id
