-- grain: one row per registered model and alias; :model_name null: all models
select
    model_name,
    alias,
    wanted_version,
    written_version,
    written_at
from recsys.alias_projection
where cast(:model_name as text) is null or model_name = :model_name
order by model_name, alias
