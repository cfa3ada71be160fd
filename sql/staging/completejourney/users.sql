-- One row per household with a line at a till, since its first one.

with lines as (

    select * from raw_completejourney.lines

),

demographics as (

    select
        household_id,
        age,
        income,
        home_ownership,
        marital_status,
        household_size,
        kids_count,
        coalesce(household_comp, 'unknown') as segment
    from raw_completejourney.demographics

),

described as (

    select
        household_id,
        cast(to_json(demographics) as varchar) as attributes
    from demographics

),

first_seen as (

    select
        household_id,
        min(occurred_at) as created_at
    from lines
    group by household_id

)

select
    cast(first_seen.household_id as varchar) as user_id,
    first_seen.created_at,
    true as is_personalised,
    coalesce(described.attributes, '{"segment":"unknown"}') as attributes
from first_seen
left join described on described.household_id = first_seen.household_id
