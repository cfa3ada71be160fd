-- only the attempt that staged or claimed it may show it; a shadow stays staged, out of sight
update recsys.publications
set
    status = :status,
    live_at = case when :status = 'live' then cast(:now as timestamp) end,
    ended_at = null,
    decision_id = :decision_id,
    audit = cast(:audit as json)
where
    publication_id = :publication_id
    and attempt = :attempt
    and kind = 'canary'
    and status in ('staged', 'superseded', 'withdrawn')
