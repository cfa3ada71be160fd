-- the primary key refuses a number that was taken meanwhile
insert into recsys.canaries (
    placement,
    canary_number,
    canary_id,
    model_name,
    model_version,
    publication_id,
    salt,
    share,
    highest_hash,
    status,
    fence,
    started_at
)
values (
    :placement,
    :canary_number,
    :canary_id,
    :model_name,
    :model_version,
    :publication_id,
    :salt,
    :share,
    :highest_hash,
    :status,
    :fence,
    :started_at
)
