-- what a canary showed to a share is live for everybody
update recsys.publications
set
    kind = 'main',
    live_at = :now,
    ended_at = null,
    status = 'live',
    previous_publication_id = :expected,
    decision_id = :decision_id
where publication_id = :publication_id and kind = 'canary' and status in ('staged', 'live')
