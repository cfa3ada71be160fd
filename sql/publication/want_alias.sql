-- says what an alias should be; a row that says so already keeps its time
update recsys.alias_projection
set
    wanted_at = case when wanted_version is distinct from cast(:version as text) then :now else wanted_at end,
    wanted_version = :version
where model_name = :model_name and alias = :alias
