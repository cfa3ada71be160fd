-- what was live before :publication_id is so no more
update recsys.publications
set status = :status, ended_at = :now
where placement = :placement and status = 'live' and publication_id <> :publication_id
