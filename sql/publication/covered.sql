-- grain: one row: what a publication is said to hold, and how many customers have a list in it or in its base
select
    publications.user_count,
    publications.row_count,
    publications.checksum,
    (
        select count(*)
        from recsys.publication_lists as lists
        where lists.publication_id = :base and lists.bucket >= 0
    ) + (
        select count(*)
        from recsys.publication_lists as newer
        left join recsys.publication_lists as lists
            on lists.publication_id = :base and lists.subject_id = newer.subject_id
        where newer.publication_id = :publication_id and newer.bucket >= 0 and lists.subject_id is null
    ) as customers
from recsys.publications as publications
where publications.publication_id = :publication_id
