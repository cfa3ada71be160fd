"""Loads a source: raw files to raw tables to the canonical shop, in one transaction."""

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa

from recsys import erasures
from recsys.assets import sql_path
from recsys.do_not_process import DoNotProcess
from recsys.errors import SettingsError, SourceError, WarehouseError
from recsys.homes import Home
from recsys.load.canonical import CanonicalLoad
from recsys.load.files import fingerprint, locate
from recsys.load.progress import Progress
from recsys.load.raw import clean_select, replace_raw
from recsys.load.reading import RawReader, Selection, open_raw
from recsys.load.report import CleaningRow, LoadReport
from recsys.load.source import CANONICAL, Source, find_source
from recsys.load.statements import statement
from recsys.settings import Settings
from recsys.warehouse import Warehouse, compact, migrate, open_warehouse

_LOAD_PREFIX = "load-"
LEFT_OUT = "do_not_process"


def load_source(
    settings: Settings,
    name: str,
    *,
    until: str | date | None = None,
    data_dir: Path | None = None,
    customers: int | None = None,
    promotions: bool = True,
    progress: Progress | None = None,
    now: datetime | None = None,
    force: bool = False,
    replace_shop: bool = False,
) -> LoadReport:
    """Load a shop into the warehouse; it replaces the shop that was there.

    Suppressions, rules and consent that was withdrawn here stay.

    The files are read and checked first; everything is then written in one transaction, so that a load that
    fails or is killed leaves the previous shop. A load of the same files with the same mapping and options as
    the one in the warehouse is skipped.

    Args:
        settings: which warehouse, threads, memory, namespace.
        name: the source, a folder below ``sql/staging``.
        until: load nothing that occurred or was known at or after this date or UTC time.
        data_dir: where the raw files are, instead of the source's own place: a folder, or the one file.
        customers: only so many customers, the first by a stable hash: for trials and tests.
        promotions: load the promotions too, by far the largest part of the demo shop.
        progress: what shows the steps; silent if absent.
        now: the time of the load (naive UTC); the clock's if absent.
        force: load even if the warehouse already holds this very load.
        replace_shop: load although models were decided for another shop in this warehouse.

    Raises:
        SettingsError: if ``until`` is no date, ``customers`` isn't positive, or another shop lives here.
        SourceError: if the source, its files or its SELECTs can't be used; nothing was changed.
        WarehouseBusyError, WarehouseError: if the warehouse can't be opened or written.
        ErasedMeanwhileError: if a customer was erased while it was written; the previous shop is still there.
    """
    progress = progress or Progress()
    moment = now or datetime.now(UTC).replace(tzinfo=None)
    selection = _selection(until, customers, promotions)
    source = find_source(name)
    wanted = [n for n, table in source.file.tables.items() if table.group is None or promotions]
    data = locate(source, wanted, data_dir)
    load_id = _load_id(settings, source, selection, data)
    with open_warehouse(settings, purpose=f"load {name}") as warehouse:
        migrate(warehouse)
        if not replace_shop:
            _check_same_shop(warehouse, name)
        known = None if force else _loaded_before(warehouse, source, load_id, selection)
    if known is not None:
        return known
    # The warehouse is opened last: while the files are read and checked, others may have it.
    with (
        open_raw(settings, source, selection, data) as reader,
        open_warehouse(settings, purpose=f"load {name}") as warehouse,
        _explained(source),
        ExitStack() as until_committed,
    ):
        watch = erasures.Watch.anew(Home.of(settings))
        listed = DoNotProcess.synced(settings, warehouse)
        with warehouse.transaction() as connection:
            load = CanonicalLoad(warehouse, connection, source, settings.namespace, load_id, moment)
            report = _write(load, reader, selection, progress, listed)
            until_committed.enter_context(watch.keeping())
    if any(row.rule == LEFT_OUT for row in report.cleaning):
        compact(settings)  # the rows that were mapped before they went left their bytes in the file
    return report


def _write(
    load: CanonicalLoad, reader: RawReader, selection: Selection, progress: Progress, listed: DoNotProcess
) -> LoadReport:
    load.prepare()
    _forget_previous(load)
    replace_raw(load.warehouse, load.connection, load.source, reader, progress)
    rejected = reader.rejected()
    cleaning = _keep_rejected(load, rejected)
    rows = {}
    for table in CANONICAL:
        with progress.step(f"shop {table}") as advance:
            rows[table], cleaned = load.replace(table)
            advance(rows[table])
        cleaning += cleaned
    removed = load.leave_out(listed)
    rows = {table: count - removed.get(table, 0) for table, count in rows.items()}
    left_out = reader.left_out() + sum(removed.values())
    if left_out:
        cleaning.append(CleaningRow(LEFT_OUT, "rows of customers who were erased, left out", left_out))
    load.hold_withdrawals()
    cleaning += _count_cleaning(load)
    _record(load, selection, cleaning)
    return LoadReport(
        source=load.source.name,
        load_id=load.load_id,
        skipped=False,
        until=selection.until,
        rows=rows,
        cleaning=tuple(cleaning),
        seconds=dict(progress.seconds),
    )


def _selection(until: str | date | None, customers: int | None, promotions: bool) -> Selection:
    if customers is not None and customers < 1:
        raise SettingsError(f"--customers {customers}: give the number of customers to load, at least 1.")
    return Selection(until=_moment(until), customers=customers, promotions=promotions)


def _moment(until: str | date | None) -> datetime | None:
    if isinstance(until, str):
        try:
            until = datetime.fromisoformat(until)
        except ValueError as error:
            raise SettingsError(
                f"--until {until!r} is no date or time. Write it like 2017-12-05 or 2017-12-05T06:00:00."
            ) from error
    if until is None or isinstance(until, datetime):
        aware = until is not None and until.tzinfo is not None
        return until.astimezone(UTC).replace(tzinfo=None) if until is not None and aware else until
    return datetime(until.year, until.month, until.day)


def _load_id(settings: Settings, source: Source, selection: Selection, data: dict[str, list[Path]]) -> str:
    """Return the name of a load: the same for the same files, mapping and options."""
    digest = hashlib.sha256(f"{settings.namespace}|{selection}|{fingerprint(data)}".encode())
    for folder in (source.path, sql_path("staging", "_load")):
        for path in sorted(path for path in folder.iterdir() if path.suffix in (".sql", ".toml")):
            digest.update(path.name.encode() + path.read_bytes())
    return f"{_LOAD_PREFIX}{source.name}-{digest.hexdigest()[:16]}"


def _check_same_shop(warehouse: Warehouse, name: str) -> None:
    """Refuse to put one shop's data under models and lists that were made for another."""
    others = warehouse.query("select source from shop.sources where source <> :name", {"name": name})
    if others and warehouse.query("select count(*) as decisions from recsys.decisions")[0]["decisions"]:
        raise SettingsError(
            f"This warehouse holds the shop {others[0]['source']!r}, and its models and lists are live here. "
            f"One home is one shop: choose another folder for {name!r}, for example RECSYS_HOME=.recsys-{name}. "
            f"If {name!r} is the same shop under a new name, load it with --replace-shop."
        )


def _loaded_before(warehouse: Warehouse, source: Source, load_id: str, selection: Selection) -> LoadReport | None:
    """Return the report of this very load if the warehouse holds it."""
    if not warehouse.query("select load_id from shop.sources where load_id = :id", {"id": load_id}):
        return None
    rows = {
        table: int(warehouse.query(statement("count", relation=f"shop.{table}"))[0]["row_count"]) for table in CANONICAL
    }
    cleaning = warehouse.query("select rule, reason, row_count from shop.cleaning order by rule, reason")
    return LoadReport(
        source=source.name,
        load_id=load_id,
        skipped=True,
        until=selection.until,
        rows=rows,
        cleaning=tuple(CleaningRow(**row) for row in cleaning),
    )


@contextmanager
def _explained(source: Source) -> Iterator[None]:
    """Say that a load which failed changed nothing."""
    try:
        yield
    except WarehouseError as error:
        kind = type(error)
        raise kind(f"Loading {source.name!r} failed; the warehouse is as it was. {error}") from error


def _forget_previous(load: CanonicalLoad) -> None:
    run = load.warehouse.run
    run(load.connection, "truncate table shop.sources")
    run(load.connection, "truncate table shop.cleaning")
    run(load.connection, statement("forget_quarantine", prefix=_LOAD_PREFIX))


def _keep_rejected(load: CanonicalLoad, rejected: pa.Table) -> list[CleaningRow]:
    if not rejected.num_rows:
        return []
    count = rejected.num_rows
    stamped = rejected.append_column("run_id", pa.array([load.load_id] * count))
    stamped = stamped.append_column("seen_at", pa.array([load.now] * count, pa.timestamp("us")))
    load.warehouse.append(load.connection, "shop.quarantine", stamped)
    counted = rejected.group_by(["source_table", "rule"]).aggregate([([], "count_all")]).to_pylist()
    return [
        CleaningRow("unreadable", f"{row['source_table']}: {row['rule']}", row["count_all"])
        for row in sorted(counted, key=lambda row: (row["source_table"], row["rule"]))
    ]


def _count_cleaning(load: CanonicalLoad) -> list[CleaningRow]:
    select = load.source.sql("cleaning")
    if select is None:
        return []
    try:
        rows = load.warehouse.query(clean_select(select).replace(":", "\\:"), connection=load.connection)
        counted = [CleaningRow(row["rule"], row["reason"], int(row["row_count"])) for row in rows]
    except KeyError as error:
        raise SourceError(f"{load.source.path / 'cleaning.sql'} lacks the column {error}.") from error
    return sorted(counted, key=lambda row: row.rule)


def _record(load: CanonicalLoad, selection: Selection, cleaning: list[CleaningRow]) -> None:
    time = pa.timestamp("us")
    count = len(cleaning)
    load.warehouse.append(
        load.connection,
        "shop.cleaning",
        pa.table(
            {
                "source": [load.source.name] * count,
                "rule": pa.array([row.rule for row in cleaning], pa.string()),
                "reason": pa.array([row.reason for row in cleaning], pa.string()),
                "row_count": pa.array([row.row_count for row in cleaning], pa.int64()),
                "load_id": [load.load_id] * count,
                "loaded_at": pa.array([load.now] * count, time),
            }
        ),
    )
    load.warehouse.append(
        load.connection,
        "shop.sources",
        pa.table(
            {
                "source": [load.source.name],
                "time_zone": [load.source.file.time_zone],
                "has_item_history": [load.source.file.has_item_history],
                "load_id": [load.load_id],
                "until": pa.array([selection.until], time),
                "loaded_at": pa.array([load.now], time),
            }
        ),
    )
