-- grain: one row per customer and rank of what one publication shows; default and spare rows are left out
select lists.subject_id as user_id, list_rows.item_id, list_rows.rank
from recsys.publications as publications
inner join recsys.whole_lists as lists on lists.publication_id = publications.publication_id
inner join recsys.list_rows as list_rows
    on list_rows.placement = publications.placement
    and list_rows.subject_id = lists.subject_id
    and list_rows.list_hash = lists.list_hash
where
    publications.publication_id = :publication_id
    and lists.bucket >= 0
    and list_rows.rank <= publications.items_shown
order by lists.subject_id, list_rows.rank
