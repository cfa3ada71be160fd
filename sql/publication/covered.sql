-- grain: one row: what a publication is said to hold, and how many customers have a list in it or in its base
select
    publications.user_count,
    publications.row_count,
    publications.checksum,
    (
        select count(*)
        from recsys.whole_lists as lists
        where lists.publication_id = :publication_id and lists.bucket >= 0
    ) as customers
from recsys.publications as publications
where publications.publication_id = :publication_id
