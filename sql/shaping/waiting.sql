-- One row per customer and rank of the lists in listed (subject_id, rank, item_id, brand, propensity).
select
    subject_id,
    rank,
    item_id,
    coalesce(brand, '') as brand,
    case when propensity is null then rank else 0 end as round,
    md5_number_upper(subject_id || chr(31) || item_id) as draw
from listed
