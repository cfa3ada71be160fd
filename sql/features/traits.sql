-- One row per customer at the cut and simple attribute that is not this customer's alone ('name=value', the segment
-- aside), with a dense number of it, in the order of its text. Attributes are declared as what does not change.
with described as (
    select
        users.user_idx,
        entries.key || '=' || (entries.value ->> '$') as trait
    from users,
        lateral json_each(case when json_valid(users.attributes) then users.attributes else '{}' end) as entries
    where
        json_type(case when json_valid(users.attributes) then users.attributes else '{}' end) = 'OBJECT'
        and entries.key <> 'segment'
        and entries.type not in ('OBJECT', 'ARRAY', 'NULL')
),

shared as (
    select
        trait,
        cast(row_number() over (order by trait) - 1 as integer) as number
    from described
    group by trait
    having count(distinct user_idx) > 1
)

select distinct
    described.user_idx,
    shared.number,
    shared.trait
from described
inner join cuts on described.user_idx = cuts.subject_id
inner join shared on described.trait = shared.trait
order by described.user_idx, shared.number
