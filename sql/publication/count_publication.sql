-- touches the row, if there is one, so that the number of changed rows says so
update recsys.publications
set attempt = attempt
where publication_id = :publication_id
