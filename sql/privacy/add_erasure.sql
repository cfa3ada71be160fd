insert into recsys.erasures (
    erasure_id, mark, user_id, status, requested_by, reason, requested_at, finished_at, proof
)
values (:erasure_id, :mark, :user_id, :status, :requested_by, :reason, :requested_at, :finished_at, :proof)
