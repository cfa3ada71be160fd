-- Scores of what is shown to customers of the first buckets by one publication.
select list_rows.score
from recsys.publications as publications
inner join recsys.whole_lists as lists on lists.publication_id = publications.publication_id
inner join recsys.list_rows as list_rows
    on list_rows.placement = publications.placement
    and list_rows.subject_id = lists.subject_id
    and list_rows.list_hash = lists.list_hash
where
    publications.publication_id = :publication_id
    and lists.bucket between 0 and :last_bucket
    and list_rows.rank <= publications.items_shown
    and list_rows.propensity is null
