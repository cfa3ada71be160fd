update recsys.erasures
set
    user_id = :user_id,
    status = :status,
    finished_at = :finished_at,
    proof = :proof
where erasure_id = :erasure_id
