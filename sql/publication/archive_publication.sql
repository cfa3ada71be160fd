update recsys.publications
set
    ended_at = coalesce(ended_at, :now),
    status = case when status = 'staged' then 'failed' else 'archived' end
where publication_id = :publication_id and status in ('staged', 'superseded', 'withdrawn')
