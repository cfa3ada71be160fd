"""A finished snapshot, as later stages open it."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

import duckdb

from recsys import columns as c
from recsys.artifacts import check_file, open_artifact, read_document, uri_of
from recsys.homes import Home, cached

KIND: Final = "snapshots"
PARTS: Final = 16
TABLES: Final = (c.USERS, c.ITEMS, c.ITEM_VERSIONS, c.PROMOTIONS, c.ITEM_RULES)
MANIFEST: Final = "manifest.json"
SUCCESSORS: Final = "successors.json"  # from the ids of snapshots that were rewritten for an erasure to the new ones


@dataclass(frozen=True)
class Snapshot:
    """A finished snapshot on this machine."""

    folder: Path

    @classmethod
    def open(cls, uri: str) -> "Snapshot":
        """Open the snapshot that a URI names.

        One that was rewritten for an erasure is opened as what came after it.

        Raises:
            NotFoundError: if it isn't there.
            AlteredError: if its manifest was altered. The other files are checked when they are asked for, so that
                a shard reads no more than its own.
        """
        return cls(open_artifact(_current(uri), only=MANIFEST))

    @property
    def uri(self) -> str:
        """The URI that stages pass on."""
        return uri_of(self.folder)

    @property
    def snapshot_id(self) -> str:
        """The name: the moment and the hash of the content."""
        return self.folder.name

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest as written."""
        manifest: dict[str, Any] = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        return manifest

    @property
    def is_pseudonymised(self) -> bool:
        """Whether customers stand here by their pseudonyms."""
        return bool(self.manifest.get("is_pseudonymised", False))

    @property
    def as_of(self) -> datetime:
        """The moment T: everything in here occurred and was known before it."""
        return datetime.fromisoformat(self.manifest["as_of"])

    @property
    def first_event(self) -> datetime:
        """When the first event occurred."""
        return datetime.fromisoformat(self.manifest["first_event"])

    def _checked(self, name: str) -> Path:
        """Return the path of a file whose content is that of the manifest.

        What leave-one-out lays out for a moment has a manifest without hashes.
        """
        path, files = self.folder / name, self.manifest.get("files")
        return path if files is None else check_file(path, files.get(name, ""))

    @property
    def users(self) -> Path:
        """The customers' file."""
        return self._checked("users.parquet")

    @property
    def items(self) -> Path:
        """The products' file."""
        return self._checked("items.parquet")

    @property
    def item_versions(self) -> Path:
        """The file of what the products were at earlier moments."""
        return self._checked("item_versions.parquet")

    @property
    def promotions(self) -> Path:
        """The file of promotions."""
        return self._checked("promotions.parquet")

    @property
    def item_rules(self) -> Path:
        """The file of rules about products."""
        return self._checked("item_rules.parquet")

    @property
    def user_count(self) -> int:
        """Number of customers."""
        return int(self.manifest["rows"][c.USERS])

    @property
    def item_count(self) -> int:
        """Number of products."""
        return int(self.manifest["rows"][c.ITEMS])

    def event_files(self, bucket_from: int = 0, bucket_to: int = c.BUCKETS) -> list[str]:
        """Return the files that hold the customers' events of a range of buckets (no guests)."""
        width = c.BUCKETS // PARTS
        return [
            str(self._checked(f"events/{part:02d}.parquet"))
            for part in range(PARTS)
            if part * width < bucket_to and (part + 1) * width > bucket_from
        ]

    def attach(self, connection: duckdb.DuckDBPyConnection, bucket_from: int = 0, bucket_to: int = c.BUCKETS) -> None:
        """Give a DuckDB connection the views ``users``, ``items``, ``item_versions``, ``promotions``, ``item_rules``,
        ``events`` and ``guest_events``.

        The events are those of customers in the buckets.
        """
        connection.from_parquet(str(self.users)).create_view(c.USERS)
        connection.from_parquet(str(self.items)).create_view(c.ITEMS)
        connection.from_parquet(str(self.item_versions)).create_view(c.ITEM_VERSIONS)
        connection.from_parquet(str(self.promotions)).create_view(c.PROMOTIONS)
        connection.from_parquet(str(self.item_rules)).create_view(c.ITEM_RULES)
        connection.from_parquet(self.event_files(bucket_from, bucket_to)).create_view(c.EVENTS)
        connection.from_parquet(str(self._checked("events/guests.parquet"))).create_view(c.GUEST_EVENTS)


def _current(uri: str) -> str:
    """Return the URI of what a snapshot is now."""
    root, _, name = uri.rstrip("/").rpartition("/")
    parsed = urlparse(root)
    if parsed.scheme == "s3":
        home, inside = cached(uri)
        folder = (home.path / inside).parent
    else:
        folder = Path(unquote(parsed.path))
        home = Home(folder.parent)
    successors = read_document(home, folder / SUCCESSORS) or {}
    while name in successors:
        name = successors[name]
    return f"{root}/{name}"
