-- a canary's lists after its share grew; a shadow's go live by it
update recsys.publications
set
    live_at = case when status = 'staged' then :now else live_at end,
    status = 'live',
    decision_id = :decision_id
where publication_id = :publication_id and kind = 'canary' and status in ('staged', 'live')
