-- rows of lists that one publication names and no other one of its placement
delete from recsys.list_rows
where
    placement = :placement
    and exists (
        select 1
        from recsys.publication_lists as gone
        left join (
            select lists.subject_id, lists.list_hash
            from recsys.publications as publications
            inner join recsys.publication_lists as lists
                on lists.publication_id = publications.publication_id
            where publications.placement = :placement and publications.publication_id <> :publication_id
        ) as kept on kept.subject_id = gone.subject_id and kept.list_hash = gone.list_hash
        where
            gone.publication_id = :publication_id
            and kept.subject_id is null
            and gone.subject_id = recsys.list_rows.subject_id
            and gone.list_hash = recsys.list_rows.list_hash
    )
