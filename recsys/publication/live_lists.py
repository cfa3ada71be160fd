"""Reads the live files: what is live, and what one customer sees, without opening the warehouse."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from recsys.assets import read_sql
from recsys.columns import BUCKETS
from recsys.compute import engine
from recsys.errors import NotFoundError
from recsys.pseudonyms import Pseudonyms
from recsys.publication.customer import CustomerList, Query, find_list
from recsys.publication.live_files import VERSION, VIEWS, over_live_files, read_manifest
from recsys.settings import Settings

# SQLAlchemy's :name is DuckDB's $name.
_BOUND: Final = re.compile(r"(?<!:):(?=[a-z_]+)")


@dataclass(frozen=True)
class LivePublication:
    """What is live on one placement, for the customers of one range of buckets or those of a canary.

    ``customer_count`` and ``row_count`` are those of the whole publication, spare rows included; ``share`` is
    the part of all customers that it serves, 0 to 1. Moments are naive UTC.
    """

    placement: str
    publication_id: str
    model_name: str
    model_version: str
    as_of: datetime
    live_at: datetime
    customer_count: int
    row_count: int
    share: float


def live_publications(settings: Settings) -> list[LivePublication]:
    """Return what is live according to the live files, by placement; nothing if nothing was published.

    Raises:
        NotFoundError: if another version of the platform wrote the files.
    """
    return [_publication(entry) for entry in _manifest(settings).get("live", [])]


def live_list(settings: Settings, user_id: str, placement: str) -> CustomerList:
    """Return what a customer is shown, from the live files: the same as :func:`customer_list`.

    Args:
        settings: where home is, and the placements there are.
        user_id: the customer or their pseudonym; ``*`` for a visitor. Unknown customers get the default list.
        placement: where.

    Raises:
        NotFoundError: if there is no such placement, nothing is live on it, or another version of the platform
            wrote the files.
    """
    manifest = _manifest(settings)
    if not manifest:
        return find_list(_nothing, settings, user_id, placement)
    with _open(settings, manifest) as query:
        return find_list(query, settings, user_id, placement)


def live_names(settings: Settings, pseudonyms: Collection[str]) -> dict[str, str]:
    """Return the ids of the customers whom pseudonyms name, by pseudonym, as far as the live files know them.

    Raises:
        NotFoundError: if another version of the platform wrote the files.
    """
    manifest, name = _manifest(settings), Pseudonyms.of(settings).name
    if not manifest or not pseudonyms:
        return {}
    with _open(settings, manifest) as query:
        known = [str(row["user_id"]) for row in query(read_sql("publication", "user_ids.sql"), {})]
    named = ((name(user_id), user_id) for user_id in known)
    return {pseudonym: user_id for pseudonym, user_id in named if pseudonym in pseudonyms}


def _nothing(sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    return []


def _manifest(settings: Settings) -> dict[str, Any]:
    folder = settings.resolved_home / "live"
    manifest = read_manifest(folder)
    if manifest and manifest.get("version") != VERSION:
        raise NotFoundError(
            f"The files of {folder} are of version {manifest.get('version')}, and this program reads version "
            f"{VERSION}. The next publication writes them anew; so does: recsys run"
        )
    return manifest


def _publication(entry: dict[str, Any]) -> LivePublication:
    # The range that begins below 0 holds the default lists as well.
    share = (entry["bucket_to"] - max(entry["bucket_from"], 0) + 1) / BUCKETS
    canary = entry["canary_share"] or 0.0
    return LivePublication(
        placement=entry["placement"],
        publication_id=entry["publication_id"],
        model_name=entry["model_name"],
        model_version=entry["model_version"],
        as_of=datetime.fromisoformat(entry["as_of"]),
        live_at=datetime.fromisoformat(entry["live_at"]),
        customer_count=entry["user_count"],
        row_count=entry["row_count"],
        share=canary if entry["is_canary"] else share * (1 - canary),
    )


@contextmanager
def _open(settings: Settings, manifest: dict[str, Any]) -> Iterator[Query]:
    """Give a function that queries the live files as if they were the warehouse."""
    folder = settings.resolved_home / "live"
    with engine(settings) as connection:
        for name in VIEWS:
            connection.execute(over_live_files(folder, manifest, name))

        def query(sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
            result = connection.execute(_BOUND.sub("$", sql), parameters)
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

        yield query
