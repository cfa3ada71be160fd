"""What an erasure asks of MLflow: which versions learned from a customer, and reports without them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from recsys.registry.connection import connected
from recsys.settings import Settings


def versions_of_snapshots(settings: Settings, snapshots: Sequence[str]) -> list[dict[str, str]]:
    """Return the registered versions that learned from any of these snapshots, of all placements.

    Raises:
        RegistryError: if MLflow can't be reached.
    """
    found: dict[tuple[str, str], dict[str, str]] = {}
    with connected(settings) as client:
        for snapshot in snapshots:
            for one in client.search_model_versions(f"tags.snapshot_id = '{snapshot}'"):
                named = {"model": str(one.name), "version": str(one.version), "snapshot_id": snapshot}
                found[named["model"], named["version"]] = named
    return [found[key] for key in sorted(found)]


def rewrite_text(settings: Settings, run_id: str, path: str, change: Callable[[str], str]) -> None:
    """Replace a text among a run's artifacts by a changed one.

    Raises:
        NotFoundError: if there is no such run or artifact.
        RegistryError: if MLflow can't be reached.
    """
    with connected(settings) as client, TemporaryDirectory(prefix="recsys-report-") as folder:
        client.get_run(run_id)
        before = Path(_downloaded(client, run_id, path, folder)).read_text(encoding="utf-8")
        after = change(before)
        if after != before:
            client.log_text(run_id, after, path)


def _downloaded(client: Any, run_id: str, path: str, folder: str) -> str:
    return str(client.download_artifacts(run_id, path, folder))
