-- newer lists of the same version take the place of these
update recsys.publications
set status = 'superseded', ended_at = :now
where publication_id = :publication_id and kind = 'canary' and status in ('staged', 'live')
