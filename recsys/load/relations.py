"""Makes raw files typed relations of a DuckDB.

Every cell of a text file is checked, and rows that can't be read are set aside with the reason.
"""

from pathlib import Path

import duckdb

from recsys.errors import SourceError
from recsys.load.cells import broken_rule, cell, is_kindred, parse, recast, string
from recsys.load.files import check_columns, csv_headers, is_parquet
from recsys.load.source import SQL_TYPES, RawTable, Source
from recsys.load.statements import statement


def define(connection: duckdb.DuckDBPyConnection, source: Source, name: str, paths: list[Path]) -> None:
    """Make a raw table a relation of ``connection``; rows that can't be read go to its reject table.

    Raises:
        SourceError: if a column is missing, or too many rows are unreadable.
    """
    table = source.file.tables[name]
    if not paths:
        columns = ", ".join(f'"{c}" {SQL_TYPES[spec.type]}' for c, spec in table.columns.items())
        connection.execute(f'create table "{name}" ({columns})')
    elif all(is_parquet(path) for path in paths) and _is_safe(connection, source, name, paths):
        selects = [_safe_select(table, path) for path in paths]
        connection.execute(f'create view "{name}" as {" union all ".join(selects)}')
    else:
        _define_checked(connection, source, name, paths)


def _is_safe(connection: duckdb.DuckDBPyConnection, source: Source, name: str, paths: list[Path]) -> bool:
    """Say whether every Parquet column has a type that casts without loss, and nothing is required."""
    table = source.file.tables[name]
    for path in paths:
        described = connection.execute(f"describe from read_parquet({_literal(path)})").fetchall()
        types = {row[0]: row[1] for row in described}
        check_columns(source, name, path, list(types))
        for column, spec in table.columns.items():
            if spec.required or not is_kindred(spec, types[spec.header or column]):
                return False
    return True


def _safe_select(table: RawTable, path: Path) -> str:
    columns = []
    for column, spec in table.columns.items():
        columns.append(f'{recast(_quoted(spec.header or column), spec)} as "{column}"')
    return statement("scan_parquet", columns=", ".join(columns), path=_literal(path))


def _define_checked(connection: duckdb.DuckDBPyConnection, source: Source, name: str, paths: list[Path]) -> None:
    """Read text with every cell checked; the good rows become the table, the others are set aside."""
    table = source.file.tables[name]
    scans = [_scan(source, name, table, path, connection) for path in paths]
    checked = f"{name}__checked"
    connection.execute(f'create table "{checked}" as {" union all ".join(scans)}')
    [(rows,)] = connection.table(checked).count("*").fetchall()
    before = _rejected_count(connection)
    connection.execute(statement("reject_rows", table=string(name), checked=f'"{checked}"'))
    malformed = 0 if all(is_parquet(path) for path in paths) else _set_aside_malformed(connection, name)
    rejected = _rejected_count(connection) - before
    _stop_if_too_many(connection, source, name, rows + malformed, rejected)
    columns = ", ".join(f'"{column}"' for column in table.columns)
    connection.execute(statement("good_rows", table=f'"{name}"', columns=columns, checked=f'"{checked}"'))


def _scan(source: Source, name: str, table: RawTable, path: Path, connection: duckdb.DuckDBPyConnection) -> str:
    headers, relation = _relation(source, name, table, path, connection)
    typed, kept, rules = [], [], []
    for column, spec in table.columns.items():
        text = cell(headers[spec.header or column])
        typed.append(f'{parse(text, spec)} as "{column}"')
        kept.append(f"{string(column)}, {text}")
        rules += broken_rule(column, text, spec)
    rule = f"case {' '.join(rules)} end" if rules else "cast(null as varchar)"
    return statement(
        "scan_checked",
        columns=", ".join(typed),
        name=string(path.name),
        rule=rule,
        cells=", ".join(kept),
        relation=relation,
    )


def _relation(
    source: Source, name: str, table: RawTable, path: Path, connection: duckdb.DuckDBPyConnection
) -> tuple[dict[str, str], str]:
    """Return how to name each column of a file, and how to scan the file."""
    if is_parquet(path):
        described = connection.execute(f"describe from read_parquet({_literal(path)})").fetchall()
        check_columns(source, name, path, [row[0] for row in described])
        return {row[0]: _quoted(row[0]) for row in described}, f"read_parquet({_literal(path)})"
    delimiter = "\t" if path.suffix.lower() == ".tsv" else table.delimiter
    headers = csv_headers(path, delimiter, table.encoding)
    check_columns(source, name, path, headers)
    columns = ", ".join(f"'c{n}': 'varchar'" for n in range(len(headers)))
    # Nothing is guessed: sniffing looks at the beginning of a file only, and a bad line there misleads it.
    scan = (
        f"read_csv({_literal(path)}, columns = {{{columns}}}, auto_detect = false, header = true, "
        f"delim = {string(delimiter)}, quote = '\"', escape = '\"', encoding = {string(table.encoding)}, "
        "store_rejects = true)"
    )
    return {header: f"c{n}" for n, header in reversed(list(enumerate(headers)))}, scan


def _set_aside_malformed(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """Set aside the lines that are no CSV at all, and return how many.

    Raises:
        SourceError: if a quote is opened and never closed, since that swallows good lines.
    """
    for path, line in connection.execute(statement("open_quotes")).fetchall():
        raise SourceError(
            f"{path}: the quote opened in line {line} is never closed, so what follows can't be told apart. "
            'Close it, or write "" for a quote inside a text.'
        )
    before = _rejected_count(connection)
    connection.execute(statement("reject_lines", table=string(name)))
    connection.execute("delete from reject_errors")
    return _rejected_count(connection) - before


def _rejected_count(connection: duckdb.DuckDBPyConnection) -> int:
    [(count,)] = connection.table("recsys_rejected").count("*").fetchall()
    return int(count)


def _stop_if_too_many(
    connection: duckdb.DuckDBPyConnection, source: Source, name: str, rows: int, rejected: int
) -> None:
    share = rejected / max(rows, 1)
    if share <= source.file.max_rejected_share:
        return
    rules = connection.execute(statement("reject_counts", table=string(name))).fetchall()
    listed = "\n".join(f"  {count:,} rows: {rule}; for example {row[:200]}" for rule, count, row in rules)
    raise SourceError(
        f"{share:.1%} of the rows of the raw table {name!r} can't be read, more than the "
        f"{source.file.max_rejected_share:.0%} that max_rejected_share allows; nothing was changed.\n{listed}"
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(path: Path) -> str:
    return string(str(path))
