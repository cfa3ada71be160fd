"""A backfill of one day, stage by stage as its DAG calls them, and all that it must not move."""

from typing import Any

from recsys import pipeline, registry
from recsys.settings import Settings
from recsys.warehouse import open_warehouse
from tests.support.planted import NOW

PLACEMENTS = ["for_you", "discover"]
KEPT = ("publications", "publication_lists", "list_rows")
MOVED = ("pointers", "pointer_moves", "decisions", "alias_projection", "canaries", "canary_moves")


def backfill(settings: Settings, as_of: str, placements: list[str] = PLACEMENTS) -> dict[str, dict[str, Any]]:
    """Archive what would have been published on a day; return the results by placement."""
    snapshot = pipeline.take_snapshot(settings, as_of=as_of, now=NOW)["snapshot"]
    champions = pipeline.find_past_champions(settings, as_of=as_of, placements=placements)["champions"]
    models = pipeline.fetch_past_models(settings, snapshot=snapshot, champions=champions)["models"]
    fitted = pipeline.fit_past_models(settings, snapshot=snapshot, models=models)
    lists = [pipeline.score_shard(settings, state=fitted["state"], **shard)["lists"] for shard in fitted["shards"]]
    return {
        placement: pipeline.archive_lists(
            settings,
            state=fitted["state"],
            lists=lists,
            placement=placement,
            decision_id=models[placement]["decision_id"],
            run_id=f"backfill of {as_of}",
            now=NOW,
        )
        for placement in fitted["placements"]
    }


def stored(settings: Settings, *tables: str) -> dict[str, list[str]]:
    """Return all rows of tables of the schema ``recsys``, as sorted text."""
    with open_warehouse(settings, purpose="test") as warehouse:
        return {table: sorted(map(repr, warehouse.query(f"select * from recsys.{table}"))) for table in tables}


def registered(settings: Settings) -> list[tuple[str, str, dict[str, str], list[str]]]:
    """Return the versions in MLflow with their tags and aliases."""
    with registry.connected(settings) as client:
        found = client.search_model_versions()
        models = {model.name: dict(model.aliases) for model in client.search_registered_models()}
    return sorted(
        (one.name, str(one.version), dict(one.tags), sorted(a for a, v in models[one.name].items() if v == one.version))
        for one in found
    )


def lists_of(settings: Settings, publication_id: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return the lists of a stored publication, spare rows too, by subject."""
    query = """
        select lists.subject_id, list_rows.rank, list_rows.item_id, list_rows.score, list_rows.reason
        from recsys.publications as publications
        inner join recsys.publication_lists as lists on lists.publication_id = publications.publication_id
        inner join recsys.list_rows as list_rows
            on list_rows.placement = publications.placement
            and list_rows.subject_id = lists.subject_id
            and list_rows.list_hash = lists.list_hash
        where publications.publication_id = :publication_id
        order by lists.subject_id, list_rows.rank
    """
    lists: dict[str, list[tuple[Any, ...]]] = {}
    with open_warehouse(settings, purpose="test") as warehouse:
        for row in warehouse.query(query, {"publication_id": publication_id}):
            subject, *rest = row.values()
            lists.setdefault(subject, []).append(tuple(rest))
    return lists
