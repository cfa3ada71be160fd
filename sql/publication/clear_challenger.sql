-- a version that was decided about is no challenger any more
update recsys.alias_projection
set wanted_version = null, wanted_at = :now
where model_name = :model_name and alias = 'challenger' and wanted_version = :version
