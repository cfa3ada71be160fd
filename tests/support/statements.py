"""What is sent to the warehouse: recorded while something runs, read out of the code, translated to other engines."""

import ast
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import sqlglot
from sqlalchemy import Engine, event
from sqlglot import ErrorLevel, exp

import recsys
from recsys.assets import sql_path
from recsys.warehouse import duckdb_bulk

TARGETS: Final = ("snowflake", "bigquery", "redshift", "databricks")
WRITTEN: Final = "postgres"
"""What the warehouse's SQL is written in, as far as DuckDB understands it too."""

# In-process SQL, which DuckDB alone runs, over Parquet files: the shop's engine never sees it.
OWN_FOLDERS: Final = ("evaluation", "features", "leave_one_out", "scoring", "shaping")
OWN_FILES: Final = {
    # What is extracted is checked by the engine in the process.
    "contracts": (
        "events",
        "fresh",
        "item_rules",
        "item_versions",
        "items",
        "prices",
        "profile",
        "promotions",
        "suspects",
        "users",
    ),
    "monitoring": ("category_mix", "missing", "volume"),
    # live_shop and live_view are what readers lay over the live Parquet files.
    "publication": (
        "audit",
        "list_facts",
        "list_hashes",
        "live_shop",
        "live_view",
        "new_lists",
        "new_rows",
        "refused_items",
        "refused_lists",
        "totals",
    ),
    "snapshot": ("checked_events", "events", "item_rules", "item_versions", "items", "promotions", "users"),
    # Raw files are read and checked before they are copied to the warehouse.
    "staging/_load": (
        "choose_customers",
        "duckdb_functions",
        "good_rows",
        "open_quotes",
        "raw_rows",
        "reject_counts",
        "reject_lines",
        "reject_rows",
        "scan_checked",
        "scan_parquet",
    ),
}
# For one of the two engines: its lock while it migrates, its statistics, functions that it lacks.
ONE_ENGINE: Final = ("pg_advisory_xact_lock", "analyze ", "create or replace temp macro")
_PARTS: Final = re.compile(r"\{\w+\}")
_BINDS: Final = re.compile(r"(?<![:\w]):(\w+)")


@contextmanager
def recorded() -> Iterator[set[str]]:
    """Give a set that fills with every statement that goes to an embedded warehouse, with its ``:name`` binds.

    Everything goes through SQLAlchemy but bulk reads, which are noted on their way to the driver.
    """
    seen: set[str] = set()

    def note(_connection: Any, clause: Any, *_: Any) -> None:
        seen.add(str(clause).replace("\\:", ":"))

    def noted(function: Callable[..., Any]) -> Callable[..., Any]:
        def read(source: Any, sql: str, *given: Any) -> Any:
            seen.add(sql)
            return function(source, sql, *given)

        return read

    event.listen(Engine, "before_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for function in (duckdb_bulk.open_reader, duckdb_bulk.write_parquet):
                patch.setattr(duckdb_bulk, function.__name__, noted(function))
            yield seen
    finally:
        event.remove(Engine, "before_execute", note)


def is_own(name: str) -> bool:
    """Tell whether a file below ``sql/`` is for the DuckDB in the process, by its name with the folder."""
    folder, _, file = name.removesuffix(".sql").rpartition("/")
    return folder in OWN_FOLDERS or file in OWN_FILES.get(folder, ())


def sql_files() -> dict[str, str]:
    """Return all files below ``sql/`` by their names with the folder."""
    files = {path.relative_to(sql_path()).as_posix(): path for path in sorted(sql_path().rglob("*.sql"))}
    return {name: path.read_text(encoding="utf-8") for name, path in files.items()}


def warehouse_files() -> dict[str, str]:
    """Return the SQL files that are sent to the warehouse, by name; without those for one engine alone."""
    return {
        name: text for name, text in sql_files().items() if not is_own(name) and not name.endswith(".postgresql.sql")
    }


def is_own_tongue(statement: str) -> bool:
    """Tell whether a statement is sent to one of the two engines alone: another has its own way, or needs none."""
    return any(words in statement for words in ONE_ENGINE)


def is_template(text: str) -> bool:
    """Tell whether a file's text has ``{parts}`` that the code fills in."""
    return bool(_PARTS.search(text))


def pattern_of(template: str) -> re.Pattern[str]:
    """Return what a statement looks like that was made of a template."""
    text = template.strip().removesuffix(";")
    return re.compile(".*?".join(map(re.escape, _PARTS.split(text))), re.DOTALL)


def translated(statement: str, target: str) -> str:
    """Return a statement in another engine's SQL.

    Raises:
        SqlglotError: if it can't be read, has something that the other engine lacks, or comes out unreadable.
        ValueError: if a bind is lost on the way.
    """
    [tree] = _read(statement, WRITTEN)
    out = tree.sql(dialect=target, unsupported_level=ErrorLevel.RAISE)
    names = {node.name for found in _read(out, target) for node in found.find_all(exp.Placeholder, exp.Parameter)}
    lost = set(_BINDS.findall(_without_texts(statement))) - names - {""}
    if lost and target != "bigquery":
        raise ValueError(f"the binds {sorted(lost)} are lost in {out}")
    return out


def _read(text: str, dialect: str) -> list[Any]:
    trees = [tree for tree in sqlglot.parse(text, read=dialect, error_level=ErrorLevel.RAISE) if tree is not None]
    # What sqlglot can't read it may keep as a command, unread.
    if not trees or any(isinstance(tree, exp.Command) for tree in trees):
        raise sqlglot.ParseError(f"not understood in {dialect}: {text}")
    return trees


def _without_texts(statement: str) -> str:
    return re.sub(r"--[^\n]*|'[^']*'", "", statement)


def inline_statements() -> Iterator[tuple[str, str, bool]]:
    """Give the SQL that the code holds itself: where it stands, its text, and whether parts are filled in."""
    for path in sorted(Path(recsys.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_sent(node):
                for argument in node.args:
                    text = _text_of(argument)
                    if text is not None and re.match(r"\s*(select|insert|update|delete|create|drop|with)\b", text):
                        yield f"{path.name}:{node.lineno}", text, is_template(text)


def _is_sent(call: ast.Call) -> bool:
    function = call.func
    if isinstance(function, ast.Name):
        return function.id == "text"
    if not isinstance(function, ast.Attribute) or function.attr not in ("query", "run", "read_arrow"):
        return False
    owner = function.value.attr if isinstance(function.value, ast.Attribute) else getattr(function.value, "id", "")
    return "warehouse" in owner


def _text_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{part}" for part in node.values)
    return None
