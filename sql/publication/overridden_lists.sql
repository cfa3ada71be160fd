-- grain: one row per list of a base of whose subject a publication has a newer one
select
    lists.bucket,
    lists.subject_id,
    lists.list_hash,
    count(list_rows.rank) as row_count,
    0 as keyless_count
from recsys.publication_lists as newer
inner join recsys.publication_lists as lists
    on lists.publication_id = :base and lists.subject_id = newer.subject_id
inner join recsys.publications as publications
    on publications.publication_id = lists.publication_id
left join recsys.list_rows as list_rows
    on list_rows.placement = publications.placement
    and list_rows.subject_id = lists.subject_id
    and list_rows.list_hash = lists.list_hash
where newer.publication_id = :publication_id
group by lists.bucket, lists.subject_id, lists.list_hash
