-- grain: one row per subject and rank of one publication's lists that are stored in the parts of earlier ones
select
    lists.publication_id,
    lists.bucket,
    lists.subject_id,
    lists.list_hash,
    list_rows.rank,
    list_rows.item_id,
    list_rows.score,
    list_rows.source,
    list_rows.reason,
    list_rows.propensity
from recsys.publications as publications
inner join recsys.publication_lists as lists
    on lists.publication_id = publications.publication_id
inner join recsys.list_rows as list_rows
    on list_rows.placement = publications.placement
    and list_rows.subject_id = lists.subject_id
    and list_rows.list_hash = lists.list_hash
where publications.publication_id = :publication_id and list_rows.part <> :part
