insert into recsys.do_not_process (mark, erasure_id, listed_at)
values (:mark, :erasure_id, cast(:listed_at as timestamp))
