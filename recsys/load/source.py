"""A source: the folder that describes a shop's raw tables and maps them to the canonical ones."""

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from recsys.assets import sql_path
from recsys.errors import SourceError

SOURCE_FILE: Final = "source.toml"
# In the order of their replacement: what is referred to comes first.
CANONICAL: Final = (
    "users",
    "items",
    "item_versions",
    "events",
    "promotions",
    "campaigns",
    "coupons",
    "redemptions",
)
NEEDED: Final = ("users", "items", "events")
SQL_TYPES: Final = {
    "text": "varchar",
    "integer": "integer",
    "bigint": "bigint",
    "double": "double precision",
    "boolean": "boolean",
    "timestamp": "timestamp",
    "date": "date",
}
ColumnType = Literal["text", "integer", "bigint", "double", "boolean", "timestamp", "date"]
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RawColumn(_Strict):
    """One column of a raw table: its type, where it comes from and what it may be."""

    type: ColumnType
    header: str | None = Field(None, alias="from", description="the file's name for it; its own if absent")
    formats: tuple[str, ...] = Field((), description="strptime formats of a timestamp or date, tried in order")
    required: bool = Field(False, description="a row without it is rejected")


class RawTable(_Strict):
    """One raw table: the file that holds it and what is in it."""

    file: str = Field(description="file name or glob below the source's folder; .csv, .tsv or .parquet")
    columns: dict[Identifier, RawColumn]
    known_at: str | None = Field(None, description="SQL: when a row became known; always, if absent")
    customer: Identifier | None = Field(None, description="the column that says whose row it is")
    group: Literal["promotions"] | None = Field(None, description="left out by --no-promotions")
    optional: bool = Field(False, description="empty if there is no such file")
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: Literal["utf-8", "latin-1", "utf-16"] = "utf-8"

    @field_validator("columns", mode="before")
    @classmethod
    def _short_form(cls, columns: object) -> object:
        if not isinstance(columns, dict):
            return columns
        return {name: {"type": spec} if isinstance(spec, str) else spec for name, spec in columns.items()}


class CustomerList(_Strict):
    """Where ``--customers`` picks its customers from."""

    table: Identifier
    column: Identifier


class SourceFile(_Strict):
    """What ``source.toml`` says."""

    title: str
    time_zone: str = Field("UTC", description="of the times in the files, which carry none")
    has_item_history: bool = Field(False, description="item_versions.sql tells when products changed")
    package: str | None = Field(None, description="Python package that ships the files")
    folder: str = Field(".", description="of the files: in the package, else beside source.toml")
    max_rejected_share: float = Field(0.05, ge=0, le=1, description="of unreadable rows that stops a load")
    steps: tuple[Identifier, ...] = Field((), description="helper tables, built first and in this order")
    customers: CustomerList | None = None
    tables: dict[Identifier, RawTable] = Field(min_length=1)

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {name!r}; use one like 'UTC' or 'Europe/Berlin'") from error
        return name

    @model_validator(mode="after")
    def _columns_exist(self) -> "SourceFile":
        wanted = [(name, table.customer) for name, table in self.tables.items() if table.customer]
        if self.customers is not None:
            wanted.append((self.customers.table, self.customers.column))
        for table, column in wanted:
            if table not in self.tables or column not in self.tables[table].columns:
                raise ValueError(f"no column {column!r} in a table {table!r}")
        return self


class Source(_Strict):
    """A source: its name, its folder, and what its ``source.toml`` says."""

    name: str
    path: Path
    file: SourceFile

    @property
    def raw_schema(self) -> str:
        """The warehouse schema of its raw tables."""
        return f"raw_{self.name}"

    def sql(self, table: str) -> str | None:
        """Return the text of one SQL file of the source, or None if it has no such file."""
        path = self.path / f"{table}.sql"
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def data_folder(self) -> Path:
        """Return the folder of the raw files.

        Raises:
            SourceError: if the package that ships them isn't installed.
        """
        if self.file.package is None:
            return (self.path / self.file.folder).resolve()
        found = importlib.util.find_spec(self.file.package)
        if found is None or not found.submodule_search_locations:
            raise SourceError(
                f"The source {self.name!r} reads the files of the Python package {self.file.package!r}, "
                f"which isn't installed. Install it (pip install {self.file.package.replace('_', '-')}), "
                "or give a folder with --data."
            )
        return Path(next(iter(found.submodule_search_locations))) / self.file.folder


def list_sources() -> list[str]:
    """Return the names of the sources that can be loaded from here, sorted."""
    folders = [path for root in _roots() if root.is_dir() for path in root.iterdir()]
    return sorted({path.name for path in folders if (path / SOURCE_FILE).is_file() and path.name[0] != "_"})


def find_source(name: str) -> Source:
    """Return a source: from ``sql/staging`` of the current folder, else of those that are shipped.

    Raises:
        SourceError: if there is none of that name, or its folder can't be used.
    """
    folder = next((root / name for root in _roots() if (root / name / SOURCE_FILE).is_file()), None)
    if folder is None or not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        raise SourceError(
            f"There is no source {name!r}: no file sql/staging/{name}/{SOURCE_FILE} here. "
            f"Known: {', '.join(list_sources())}. A new one: recsys init NAME"
        )
    source = Source(name=name, path=folder.resolve(), file=_read(folder / SOURCE_FILE))
    missing = [f"{table}.sql" for table in (*NEEDED, *source.file.steps) if source.sql(table) is None]
    if missing:
        raise SourceError(f"The source {name!r} lacks {', '.join(missing)} in {source.path}.")
    if source.file.has_item_history and source.sql("item_versions") is None:
        raise SourceError(
            f"{source.path / SOURCE_FILE} says has_item_history = true, so item_versions.sql must be there."
        )
    return source


def _roots() -> tuple[Path, ...]:
    return (Path.cwd() / "sql" / "staging", sql_path("staging"))


def _read(path: Path) -> SourceFile:
    try:
        return SourceFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise SourceError(f"{path} is not TOML: {error}.") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise SourceError(f"{path} can't be used:\n" + "\n".join(lines)) from error
