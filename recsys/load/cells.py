"""SQL expressions that turn the cells of raw files into typed values, for the DuckDB that reads them.

That DuckDB's session has the source's time zone: a time without an offset is read as of that zone.
"""

from typing import Final

from recsys.load.source import SQL_TYPES, RawColumn

# What Parquet calls the types that need no check when they stand for one of ours.
_KINDRED: Final = {
    "integer": {"INTEGER", "SMALLINT", "TINYINT", "USMALLINT", "UTINYINT"},
    "bigint": {"BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UINTEGER", "USMALLINT", "UTINYINT"},
    "double": {"DOUBLE", "FLOAT", "DECIMAL", "BIGINT", "INTEGER", "SMALLINT", "TINYINT"},
    "boolean": {"BOOLEAN"},
    "timestamp": {
        "TIMESTAMP",
        "TIMESTAMP_MS",
        "TIMESTAMP_S",
        "TIMESTAMP_NS",
        "TIMESTAMP WITH TIME ZONE",
        "DATE",
    },
    "date": {"DATE"},
}
_WANTED: Final = {
    "integer": "a whole number",
    "bigint": "a whole number",
    "double": "a number",
    "boolean": "true or false",
    "timestamp": "a time",
    "date": "a date",
}


def is_kindred(spec: RawColumn, parquet_type: str) -> bool:
    """Say whether every value of a Parquet column can be cast to the type that is declared."""
    return spec.type == "text" or parquet_type.partition("(")[0] in _KINDRED[spec.type]


def recast(value: str, spec: RawColumn) -> str:
    """Return a kindred value as the declared type; NaN, which is how some programs write nothing, as null."""
    if spec.type == "timestamp":
        return _utc(f"cast({value} as timestamptz)")
    cast = f"cast({value} as {SQL_TYPES[spec.type]})"
    return f"case when isfinite({cast}) then {cast} end" if spec.type == "double" else cast


def cell(value: str) -> str:
    """Return the text of a cell without the blanks around it, null if nothing is left."""
    return f"nullif(trim(cast({value} as varchar)), '')"


def parse(text: str, spec: RawColumn) -> str:
    """Return a cell's text as the declared type, null if it can't be read as that."""
    if spec.formats:
        parsed = f"try_strptime({text}, [{', '.join(map(string, spec.formats))}])"
        return _utc(f"cast({parsed} as timestamptz)") if spec.type == "timestamp" else f"cast({parsed} as date)"
    if spec.type == "timestamp":
        return _utc(f"try_cast({text} as timestamptz)")
    cast = f"try_cast({text} as {SQL_TYPES[spec.type]})"
    if spec.type == "double":
        return f"case when isfinite({cast}) then {cast} end"
    if spec.type in ("integer", "bigint"):
        # Without this 3.7 would become 4.
        return f"case when {cast} = try_cast({text} as double) then {cast} end"
    return text if spec.type == "text" else cast


def broken_rule(column: str, text: str, spec: RawColumn) -> list[str]:
    """Return the branches of a CASE that say what is wrong with a cell."""
    branches = []
    if spec.required:
        branches.append(f"when {text} is null then {string(f'{column} is empty')}")
    if spec.type != "text":
        formats = f" written like {' or '.join(spec.formats)}" if spec.formats else ""
        reason = string(f"{column} is not {_WANTED[spec.type]}{formats}")
        branches.append(f"when {text} is not null and {parse(text, spec)} is null then {reason}")
    return branches


def string(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _utc(moment: str) -> str:
    return f"timezone('UTC', {moment})"
