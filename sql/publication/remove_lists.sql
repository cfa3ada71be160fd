delete from recsys.publication_lists
where publication_id = :publication_id
