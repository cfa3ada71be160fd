-- One row per rank of a list for customers whose list of the base has to go (asked) and for whom none was made (made): that
-- of their segment, or of everybody, which they would see without one.
select
    asked.user_id as subject_id,
    asked.bucket,
    defaults.rank,
    defaults.item_id,
    defaults.score,
    defaults.source,
    defaults.reason,
    defaults.propensity
from asked
anti join made on asked.user_id = made.subject_id
left join (select distinct subject_id from defaults) as segments
    on segments.subject_id = 'segment:' || asked.segment
inner join defaults on defaults.subject_id = coalesce(segments.subject_id, '*')
where asked.has_list
order by asked.bucket, asked.user_id, defaults.rank
