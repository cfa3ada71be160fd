-- rows of lists that one publication names and no other one of its placement
delete from recsys.list_rows
where
    placement = :placement
    and exists (
        select 1
        from recsys.publication_lists as gone
        where
            gone.publication_id = :publication_id
            and gone.subject_id = recsys.list_rows.subject_id
            and gone.list_hash = recsys.list_rows.list_hash
    )
    and not exists (
        select 1
        from recsys.publication_lists as lists
        inner join recsys.publications as publications
            on publications.publication_id = lists.publication_id
        where
            publications.placement = :placement
            and lists.publication_id <> :publication_id
            and lists.subject_id = recsys.list_rows.subject_id
            and lists.list_hash = recsys.list_rows.list_hash
    )
