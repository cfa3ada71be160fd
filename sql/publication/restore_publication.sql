update recsys.publications
set status = 'live', live_at = :now, ended_at = null
where publication_id = :publication_id and status = 'superseded'
