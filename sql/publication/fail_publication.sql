update recsys.publications
set status = 'failed', ended_at = :now, audit = cast(:audit as json)
where publication_id = :publication_id and attempt = :attempt and status = 'staged'
