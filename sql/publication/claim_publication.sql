-- an earlier publication, still stored, is to go live again
update recsys.publications
set attempt = :attempt
where publication_id = :publication_id and kind = :kind and status in ('superseded', 'withdrawn')
