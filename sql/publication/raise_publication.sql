-- only the attempt that staged or claimed it may bring it live
update recsys.publications
set
    status = 'live',
    live_at = :now,
    ended_at = null,
    previous_publication_id = :expected,
    decision_id = :decision_id,
    audit = cast(:audit as json)
where
    publication_id = :publication_id
    and attempt = :attempt
    and kind = 'main'
    and status in ('staged', 'superseded', 'withdrawn')
