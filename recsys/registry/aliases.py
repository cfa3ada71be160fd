"""Aliases as a projection of the warehouse's ledger.

An alias has no history and no compare-and-set, so the ledger keeps what each should be and what was
last written; this module compares, writes what is ours to write and reports the rest.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from recsys.registry.connection import connected
from recsys.settings import Settings

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
Action = Literal["kept", "written", "removed", "person", "lost"]


class WantedAlias(Protocol):
    """What the ledger says about an alias; a row of ``recsys.ledger.list_aliases`` is one."""

    @property
    def model_name(self) -> str:
        """The registered model."""

    @property
    def alias(self) -> str:
        """The alias."""

    @property
    def wanted_version(self) -> str | None:
        """The version that the alias should name; None: it should not be there."""

    @property
    def written_version(self) -> str | None:
        """The version that was last written to MLflow; None: none, or it was removed."""


@dataclass(frozen=True)
class AliasOutcome:
    """What was found and what was done.

    ``kept``: as wanted; ``written`` and ``removed``: now as wanted (after any of the three the ledger
    is to be told that the wanted version is written); ``person``: somebody moved it in MLflow, which is
    a decision that has to go through the gate, so it was left at ``found_version``; ``lost``: the version
    that is wanted is not in MLflow, somebody deleted it, so nothing was written.
    """

    model_name: str
    alias: str
    wanted_version: str | None
    found_version: str | None
    action: Action


def get_alias(settings: Settings, model: str, alias: str) -> str | None:
    """Return the version that an alias names, None if the model or the alias isn't there."""
    with connected(settings) as client:
        return _aliases(client, model).get(alias)


def set_alias(settings: Settings, model: str, alias: str, version: str) -> None:
    """Let an alias name a version.

    Raises:
        NotFoundError: if the registry has no such version.
        RegistryError: if MLflow can't be reached.
    """
    with connected(settings) as client:
        client.get_model_version(model, version)
        client.set_registered_model_alias(model, alias, version)


def project_aliases(settings: Settings, wanted: Iterable[WantedAlias]) -> list[AliasOutcome]:
    """Bring aliases to what the ledger wants, without overruling a person.

    As wanted: nothing. As last written, or missing: our write was late or lost, so it is repeated.
    Anything else is a person's decision and is only reported. Give it all aliases of the ledger, also
    those that were written: only so is it seen that one was moved or removed since.

    Raises:
        RegistryError: if MLflow can't be reached.
    """
    with connected(settings) as client:
        return [_project(client, one) for one in wanted]


def restore_alias(settings: Settings, model: str, alias: str, *, found: str, wanted: str | None) -> bool:
    """Take an alias back from a version that somebody let it name; say whether it still named that one.

    It is removed where nothing is wanted, or what is wanted is not in the registry any more.

    Raises:
        RegistryError: if MLflow can't be reached.
    """
    with connected(settings) as client:
        if _aliases(client, model).get(alias) != found:
            return False
        if wanted is not None and _has_version(client, model, wanted):
            client.set_registered_model_alias(model, alias, wanted)
        else:
            client.delete_registered_model_alias(model, alias)
        return True


def _project(client: Any, one: WantedAlias) -> AliasOutcome:
    model, wanted = one.model_name, one.wanted_version
    found = _aliases(client, model).get(one.alias)
    action: Action = "person"
    if found == wanted:
        action = "kept"
    elif found is None or found == one.written_version:
        action = "removed" if wanted is None else "written"
    if action == "removed":
        client.delete_registered_model_alias(model, one.alias)
    elif action == "written" and not _has_version(client, model, wanted):
        action = "lost"  # One alias that can't be written must not keep the others from being written.
    elif action == "written":
        client.set_registered_model_alias(model, one.alias, wanted)
    return AliasOutcome(model, one.alias, wanted, found, action)


def _aliases(client: Any, model: str) -> dict[str, str]:
    from mlflow.exceptions import MlflowException

    try:
        return {name: str(version) for name, version in client.get_registered_model(model).aliases.items()}
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}


def _has_version(client: Any, model: str, version: str | None) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        client.get_model_version(model, version)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True
