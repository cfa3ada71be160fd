-- only the attempt that staged it may keep it; it was never live and never will be
update recsys.publications
set status = 'archived', ended_at = :now, decision_id = :decision_id, audit = cast(:audit as json)
where publication_id = :publication_id and attempt = :attempt and kind = 'archive' and status = 'staged'
