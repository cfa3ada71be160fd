-- What a publication is said to hold is what is stored: one customer and their rows less.
update recsys.publications
set
    user_count = user_count - 1,
    row_count = row_count - (
        select count(*)
        from recsys.whole_lists as lists
        inner join recsys.list_rows as list_rows
            on list_rows.subject_id = lists.subject_id and list_rows.list_hash = lists.list_hash
        where
            lists.publication_id = recsys.publications.publication_id
            and list_rows.placement = recsys.publications.placement
            and lists.subject_id = :user_id
    ),
    own_row_count = own_row_count - (
        select count(*)
        from recsys.publication_lists as lists
        inner join recsys.list_rows as list_rows
            on list_rows.subject_id = lists.subject_id and list_rows.list_hash = lists.list_hash
        where
            lists.publication_id = recsys.publications.publication_id
            and list_rows.placement = recsys.publications.placement
            and lists.subject_id = :user_id
    )
where exists (
    select 1
    from recsys.whole_lists as lists
    where lists.publication_id = recsys.publications.publication_id and lists.subject_id = :user_id
)
