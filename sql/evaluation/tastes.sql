-- One row per customer and department that is known: the customer's purchase lines in it before the cut.
with families as (
    select distinct
        item_groups.family_no,
        departments.department_no
    from item_groups
    inner join departments on item_groups.item_idx = departments.item_idx
)

select
    features_user_family.user_idx,
    families.department_no,
    cast(sum(features_user_family.family_lines) as bigint) as lines
from features_user_family
inner join families on features_user_family.family_no = families.family_no
group by features_user_family.user_idx, families.department_no
order by features_user_family.user_idx, families.department_no
