"""Versions in MLflow to decide about, and a look at the ledger between two decisions."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from recsys import ledger, registry
from recsys.registry.connection import experiment_id
from recsys.settings import Settings
from recsys.warehouse import migrate, open_warehouse
from tests.support.planted import NOW
from tests.support.publications import approve
from tests.support.warehouse import make_settings

PLACEMENT = "for_you"
GATES = ("passed", "passed", "failed")


def make_versions(folder: Path, store: str, name: str, **changes: Any) -> Settings:
    """Return settings with an empty ledger and three versions in MLflow of which the gate passed the first two.

    Args:
        folder: where home is.
        store: the tracking URI.
        name: of the test: its namespace keeps it apart from others of the same store.
        changes: other settings.
    """
    namespace = "".join(c if c.isalnum() else "_" for c in name.lower())[:60].rstrip("_")
    settings = make_settings(folder, tracking_uri=store, **{"namespace": namespace, **changes})
    register(settings)
    with open_warehouse(settings, purpose="test") as opened:
        migrate(opened)
    return settings


def register(settings: Settings) -> None:
    """Register three versions, of which the gate passed the first two."""
    model = settings.model_name(PLACEMENT)
    with registry.connected(settings) as client:
        client.create_registered_model(model)
        run = client.create_run(experiment_id(client, settings)).info
        for gate in GATES:
            tags = {"placement": PLACEMENT, "review": "pending", "gate": gate, "gate_reason": f"It {gate}."}
            client.create_model_version(
                model, source=f"{run.artifact_uri}/m", run_id=run.run_id, tags=tags, description="| model | NDCG |"
            )


class Peek:
    """Looks at the ledger between two stages, and decides as Ada would elsewhere."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._model = settings, settings.model_name(PLACEMENT)

    def open(self) -> Any:
        return open_warehouse(self._settings, purpose="test")

    def decide(self, verdict: str, version: str, day: int, **changes: object) -> None:
        with self.open() as opened:
            at = NOW + timedelta(days=day)
            approve(opened, version, now=at, verdict=verdict, model_name=self._model, **changes)

    def champion(self) -> str | None:
        with self.open() as opened:
            found = ledger.champion(opened, PLACEMENT)
        return found.model_version if found else None

    def decisions(self) -> list[ledger.Decision]:
        with self.open() as opened:
            return ledger.list_decisions(opened, PLACEMENT)

    def wanted(self) -> dict[str, str | None]:
        with self.open() as opened:
            return {one.alias: one.wanted_version for one in ledger.list_aliases(opened, self._model)}
