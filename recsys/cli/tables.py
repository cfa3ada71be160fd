"""Tables for a person. What comes from the warehouse is printed as it is, never read as markup."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from recsys import columns as c
from recsys.contracts import Quarantined, Rule
from recsys.knowledge.contradictions import LEFT, RIGHT
from recsys.knowledge.loading import holds
from recsys.ledger import Champion, Decision
from recsys.monitoring import RANKED
from recsys.publication import Canary, CustomerList, PublicationRecord, Suppression
from recsys.publication.records import rollback_target


def list_table(shown: CustomerList) -> Table:
    """Return one customer's list; rows that were drawn rather than ranked say with which probability."""
    table = Table("rank", "title", "category", "reason", "score")
    has_drawn = any(row.propensity is not None for row in shown.rows)
    if has_drawn:
        table.add_column("drawn with")
    for row in shown.rows:
        drawn = [""] if row.propensity is None else [f"{row.propensity:.4f}"]
        told = row.rank, row.title or row.item_id, row.category, row.reason, f"{row.score:.4f}"
        _add(table, *told, *(drawn if has_drawn else []))
    for column in (0, *range(4, len(table.columns))):
        table.columns[column].justify = "right"
    return table


def publication_table(records: list[PublicationRecord]) -> Table:
    """Return publications, one a row."""
    table = Table(
        "publication", "placement", "status", "kind", "as of", "version", "customers", "rows", "live", "ended"
    )
    for record in records:
        _add(
            table,
            record.publication_id,
            record.placement,
            record.status,
            record.kind,
            _time(record.as_of),
            record.model_version,
            f"{record.user_count:,}",
            _rows(record),
            _time(record.live_at),
            _time(record.ended_at),
        )
    return table


def _rows(record: PublicationRecord) -> str:
    """Return the rows that count, and how many of them are not the base's."""
    own = "" if record.base_publication_id is None else f", {record.own_row_count:,} of its own"
    return f"{record.row_count:,}{own}"


def status_table(
    placements: list[str], champions: Mapping[str, Champion | None], records: list[PublicationRecord]
) -> Table:
    """Return what is live on each placement, its champion, and what a rollback would return to."""
    table = Table("placement", "live", "as of", "customers", "version", "champion", "rollback returns to")
    for placement in placements:
        mine = [record for record in records if record.placement == placement]
        live = next((record for record in mine if record.status == "live" and record.kind == "main"), None)
        champion = champions.get(placement)
        target = rollback_target(mine, live.publication_id) if live else None
        _add(
            table,
            placement,
            live.publication_id if live else "nothing",
            _time(live.as_of if live else None),
            f"{live.user_count:,}" if live else None,
            live.model_version if live else None,
            f"{champion.model_name} {champion.model_version}" if champion else "none approved",
            f"{target.publication_id} (version {target.model_version})" if target else "nothing",
        )
    return table


def decision_table(decisions: list[Decision]) -> Table:
    """Return decisions, the newest last."""
    table = Table("decision", "verdict", "model", "version", "by", "channel", "at", "reason")
    for entry in decisions:
        _add(
            table,
            entry.decision_id,
            entry.verdict,
            entry.model_name,
            entry.model_version,
            entry.decided_by,
            entry.channel,
            _time(entry.decided_at),
            entry.reason,
        )
    return table


def rules_table(rules: Sequence[Mapping[str, Any]], at: datetime) -> Table:
    """Return rules about products, one a row, and whether each holds at a moment."""
    table = Table("rule", "kind", "of", "other", "weight", "placement", f"holds {_time(at)}", "when", "by", "why")
    for rule in rules:
        _add(
            table,
            rule[c.RULE_ID],
            rule[c.KIND],
            _side(rule, LEFT),
            _side(rule, RIGHT),
            f"{rule[c.WEIGHT]:g}",
            rule[c.PLACEMENT] or "all",
            "yes" if holds(rule, at) else "no",
            _when(rule),
            rule[c.CREATED_BY],
            rule[c.REASON],
        )
    return table


def _side(rule: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Return what a side is about; the column tells a brand from a product."""
    named = [(name.removeprefix("other_").removesuffix("_id"), rule[name]) for name in columns if rule[name]]
    return ", ".join(f"{what} {value}" for what, value in named)


def _when(rule: Mapping[str, Any]) -> str:
    parts = [f"known {_time(rule[c.KNOWN_AT])}"]
    for word, name in (("from", c.STARTS_AT), ("before", c.ENDS_AT)):
        parts += [f"{word} {_time(rule[name])}"] if rule[name] else []
    parts += [f"each {rule[c.SEASON_FROM]} to {rule[c.SEASON_TO]}"] if rule[c.SEASON_FROM] else []
    return ", ".join(parts)


def canary_table(canaries: list[Canary]) -> Table:
    """Return canaries, one a row."""
    table = Table("canary", "model", "version", "share", "status", "publication", "began", "ended")
    for canary in canaries:
        _add(
            table,
            canary.canary_id,
            canary.model_name,
            canary.model_version,
            "shadow" if canary.is_shadow else f"{canary.share:.2%}",
            canary.status,
            canary.publication_id,
            _time(canary.started_at),
            _time(canary.ended_at),
        )
    return table


def suppression_table(rules: list[Suppression], now: datetime) -> Table:
    """Return rules, one a row, and whether each holds now."""
    table = Table("rule", "hides", "where", "holds", "products", "from", "until", "by", "why", "ended by")
    for rule in rules:
        _add(
            table,
            rule.suppression_id,
            rule.what,
            rule.placement or "everywhere",
            "yes" if rule.holds(now) else "no",
            f"{rule.item_count:,}",
            _time(rule.starts_at),
            _time(rule.ends_at),
            rule.created_by,
            rule.reason,
            f"{rule.ended_by}: {rule.end_reason}" if rule.ended_by else None,
        )
    return table


def measurement_table(latest: Mapping[str, Any]) -> Table:
    """Return what monitoring measured, what is worst first."""
    table = Table("status", "placement", "figure", "of", "value", "limit", "what it says")
    rows = sorted(latest["measurements"], key=lambda row: -RANKED.index(row["status"]))
    for row in rows:
        figures = ("" if row[name] is None else f"{row[name]:,.4g}" for name in ("value", "limit"))
        _add(table, row["status"], row["placement"], row["name"], row["part"], *figures, row["message"])
    return table


def contract_table(rules: Sequence[Rule]) -> Table:
    """Return the contracts' rules, one a row."""
    table = Table("rule", "table", "column", "severity", "what breaks it")
    for rule in rules:
        _add(table, rule.id, rule.table, rule.column, rule.severity, rule.says)
    return table


def quarantine_counts_table(counts: Sequence[Mapping[str, Any]]) -> Table:
    """Return how many rows are in quarantine, one table, rule and run a row."""
    table = Table("table", "rule", "run", "rows", "first seen", "last seen")
    for row in counts:
        times = _time(row["seen_from"]), _time(row["seen_until"])
        _add(table, row["source_table"], row["rule"], row["run_id"], f"{row['row_count']:,}", *times)
    return table


def quarantine_table(rows: Sequence[Quarantined]) -> Table:
    """Return quarantined rows, one a row."""
    table = Table("id", "table", "rule", "status", "seen", "row")
    for row in rows:
        told = ", ".join(f"{name}={value}" for name, value in row.current.items() if value is not None)
        _add(table, row.quarantine_id[:12], row.source_table, row.rule, row.status, _time(row.seen_at), told)
    return table


def _add(table: Table, *cells: Any) -> None:
    table.add_row(*(Text("" if cell is None else str(cell)) for cell in cells))


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"
