"""The warehouse: connection, rights, migrations, clock; and its ledger against what is live and MLflow's aliases."""

from pathlib import Path
from typing import Any, Final

from recsys import ledger, publication, registry
from recsys.assets import read_sql
from recsys.buckets import bucket_of
from recsys.columns import PUBLISHED, SHOP
from recsys.doctor.finding import NOTE, OK, WRONG, Finding, Ground, clock_finding
from recsys.doctor.mlflow import is_missing
from recsys.settings import Settings
from recsys.warehouse import Warehouse, open_warehouse, pending_migrations
from recsys.warehouse.opening import warehouse_url
from recsys.warehouse.session import POSTGRESQL

WAIT_SECONDS: Final = 5.0
PURPOSE: Final = "recsys doctor"
# What a run changes in place; to the others it only adds.
CHANGED: Final = frozenset({"publications", "pointers", "alias_projection", "list_storage"})
_HANDS_OFF: Final = "Don't change these tables by hand."


def check_warehouse(ground: Ground) -> list[Finding]:
    """Open the warehouse, and look at rights, migrations and its clock."""
    settings = ground.settings
    if (missing := missing_file(settings)) is not None:
        return [Finding("warehouse", NOTE, f"{missing} is not there yet; recsys load makes it")]
    with open_warehouse(settings, purpose=PURPOSE, timeout=WAIT_SECONDS) as opened:
        reached = Finding("warehouse", OK, f"{opened.name} answers")
        if opened.dialect != POSTGRESQL:
            return [reached, *_migrations(opened, settings.namespace)]
        [told] = opened.query(read_sql("doctor", "clock.sql"))
        findings = [reached, clock_finding("warehouse's clock", told["moment"], ground.clock())]
        lacking = _lacking(opened.query(read_sql("doctor", "rights.sql")))
        if lacking:
            # What the role may not see would only look like missing migrations.
            return [*findings, rights_finding(str(told["role_name"]), lacking)]
        return [
            *findings,
            Finding("rights", OK, f"{told['role_name']} reads shop, writes recsys"),
            *_migrations(opened, settings.namespace),
        ]


def missing_file(settings: Settings) -> Path | None:
    """Return the path of an embedded warehouse that isn't there yet: opening it would make it."""
    url = warehouse_url(settings)
    path = Path(str(url.database))
    return path if url.get_backend_name() == "duckdb" and not path.is_file() else None


def _migrations(opened: Warehouse, namespace: str) -> list[Finding]:
    pending = pending_migrations(opened)
    if pending:
        return [Finding("migrations", WRONG, f"lacks {', '.join(pending)}", "Run: recsys migrate")]
    count = int(opened.query("select count(*) as events from shop.events")[0]["events"])
    loaded = Finding("shop", OK, f"{count:,} events") if count else Finding("shop", NOTE, "no events; recsys load NAME")
    return [Finding("migrations", OK, "none is pending"), loaded, *_namespace(opened, namespace)]


def _namespace(opened: Warehouse, namespace: str) -> list[Finding]:
    """Look whether customers were loaded under this namespace, which their buckets follow from."""
    rows = opened.query(read_sql("doctor", "buckets.sql"))
    strange = [row for row in rows if bucket_of(namespace, row["user_id"]) != row["bucket"]]
    if not strange:
        return []
    advice = (
        "A warehouse belongs to one namespace: set RECSYS_NAMESPACE to the one it was loaded under, or give this one a "
        "database of its own (RECSYS_WAREHOUSE_URL)."
    )
    found = f"{len(strange)} of {len(rows)} customers looked at were loaded under another namespace than {namespace}"
    return [Finding("namespace", WRONG, found, advice)]


def _lacking(rights: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return (right, table) of what a run needs and the role may not do."""
    lacking = []
    for row in rights:
        table = f"{row['table_schema']}.{row['table_name']}"
        if not row["can_enter"]:
            lacking.append(("usage", row["table_schema"]))
        needed = {"select": row["can_read"]}
        if row["table_schema"] == PUBLISHED and row["is_table"]:
            needed["insert"] = row["can_add"]
            if row["table_name"] in CHANGED:
                needed["update"] = row["can_change"]
        lacking += [(right, table) for right, is_held in needed.items() if not is_held]
    return list(dict.fromkeys(lacking))


def rights_finding(role: str, lacking: list[tuple[str, str]]) -> Finding:
    """Say which rights a role lacks, and the statements that grant them."""
    schemas = sorted({table.partition(".")[0] for _, table in lacking})
    verbs = {SHOP: "select", PUBLISHED: "select, insert, update, delete"}
    grants = " ".join(
        f"grant usage on schema {name} to {role}; grant {verbs[name]} on all tables in schema {name} to {role};"
        for name in schemas
    )
    shown = ", ".join(f"{right} on {table}" for right, table in lacking[:5])
    more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
    return Finding("rights", WRONG, f"{role} lacks {shown}{more}", f"As the owner of the tables: {grants}")


def check_ledger(ground: Ground) -> list[Finding]:
    """Hold the ledger against the pointers, the live files and MLflow's aliases."""
    settings = ground.settings
    if missing_file(settings) is not None:
        return []
    with open_warehouse(settings, purpose=PURPOSE, timeout=WAIT_SECONDS) as opened:
        if pending_migrations(opened):
            return []
        findings = [finding for name in settings.placements for finding in _placement(opened, settings, name)]
        aliases = ledger.list_aliases(opened)
    return [*findings, *_aliases(settings, aliases)]


def _placement(opened: Warehouse, settings: Settings, placement: str) -> list[Finding]:
    subject = f"live, {placement}"
    champion = ledger.champion(opened, placement)
    live = publication.live_publication(opened, placement)
    pointed = publication.read_pointer(opened, placement).publication_id
    claimed = [
        one.publication_id
        for one in publication.list_publications(opened, placement)
        if one.status == publication.LIVE and one.kind == publication.MAIN
    ]
    if claimed != ([pointed] if pointed else []):
        found = f"the pointer names {pointed or 'nothing'}, but {', '.join(claimed) or 'no publication'} is marked live"
        advice = f"Run: recsys run --placement {placement}, which publishes anew. {_HANDS_OFF}"
        return [Finding(subject, WRONG, found, advice)]
    if live is None:
        return [Finding(subject, NOTE, "nothing is live yet; recsys run trains and publishes")]
    findings = [*_files(settings, placement, live.publication_id)]
    shown = f"{live.publication_id}, version {live.model_version} of {live.model_name}"
    if champion is None:
        advice = f"Run: recsys approve {live.model_name} {live.model_version} --reason WHY, or recsys rollback."
        return [*findings, Finding(subject, WRONG, f"{shown} is live, but the ledger has no champion", advice)]
    if (champion.model_name, champion.model_version) == (live.model_name, live.model_version):
        return [Finding(subject, OK, f"{shown}, as the ledger says"), *findings]
    text = f"{shown} is live; the champion is version {champion.model_version}, live with the next publication"
    return [Finding(subject, NOTE, text), *findings]


def _files(settings: Settings, placement: str, publication_id: str) -> list[Finding]:
    """Compare the live files with the pointer; only what is wrong is told."""
    named = {one.publication_id for one in publication.live_publications(settings) if one.placement == placement}
    if named == {publication_id}:
        return []
    found = f"the live files show {', '.join(sorted(named)) or 'nothing'}, the pointer names {publication_id}"
    advice = "Run: recsys run, or the DAG that publishes; it writes the live files anew, also where nothing is new."
    return [Finding(f"live files, {placement}", WRONG, found, advice)]


def _aliases(settings: Settings, aliases: list[ledger.Alias]) -> list[Finding]:
    if not aliases:
        return []
    if is_missing(settings.mlflow_uri):
        found = f"the ledger wants {_wanted(aliases)}, and {registry.redact(settings.mlflow_uri)} is not there"
        advice = "Set RECSYS_TRACKING_URI to the MLflow that has the models, or restore its database from a back-up."
        return [Finding("aliases", WRONG, found, advice)]
    named = [(one, registry.get_alias(settings, one.model_name, one.alias)) for one in aliases]
    wrong = [_alias(one, version) for one, version in named if version != one.wanted_version]
    return wrong or [Finding("aliases", OK, f"{_wanted(aliases)} wanted by the ledger, and so they are")]


def _wanted(aliases: list[ledger.Alias]) -> int:
    return sum(one.wanted_version is not None for one in aliases)


def _alias(one: ledger.Alias, found: str | None) -> Finding:
    subject = f"alias {one.alias}"
    text = f"{one.model_name}: MLflow has {_version(found)}, the ledger wants {_version(one.wanted_version)}"
    if found is None or found == one.written_version:
        return Finding(subject, WRONG, text, "The DAG that reconciles, or the next recsys run, writes it.")
    advice = (
        f"Somebody moved it in MLflow. The DAG that reconciles takes it through the gate; or decide: recsys approve "
        f"{one.model_name} {found} --reason WHY, or move the alias back."
    )
    return Finding(subject, WRONG, text, advice)


def _version(version: str | None) -> str:
    return "none" if version is None else f"version {version}"
