-- a publication serves all buckets: shares that went elsewhere end with it
delete from recsys.pointers
where placement = :placement and bucket_from <> -1
