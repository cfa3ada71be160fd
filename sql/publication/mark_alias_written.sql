update recsys.alias_projection
set written_version = :version, written_at = :now
where model_name = :model_name and alias = :alias
