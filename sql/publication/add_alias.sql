insert into recsys.alias_projection (model_name, alias, wanted_version, wanted_at)
values (:model_name, :alias, :version, :now)
