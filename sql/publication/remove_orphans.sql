-- lists that no publication of the placement names any more
delete from recsys.list_rows
where
    placement = :placement
    and not exists (
        select 1
        from recsys.publication_lists as lists
        inner join recsys.publications as publications
            on publications.publication_id = lists.publication_id
        where
            publications.placement = :placement
            and lists.subject_id = recsys.list_rows.subject_id
            and lists.list_hash = recsys.list_rows.list_hash
    )
