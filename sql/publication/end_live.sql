-- what was live before :publication_id is so no more; a canary's lists have a way of their own
update recsys.publications
set status = :status, ended_at = :now
where placement = :placement and status = 'live' and kind = 'main' and publication_id <> :publication_id
