"""Commands about what customers see: recommend, publications, rollback, status."""

import getpass
import json
from collections.abc import Iterator
from dataclasses import asdict
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recsys.cli.app import app, make_console, open_ready, read_settings
from recsys.errors import NotFoundError, SettingsError

if TYPE_CHECKING:
    from recsys.ledger import Alias, Decision
    from recsys.publication import Canary, PublicationRecord
    from recsys.settings import Settings
    from recsys.warehouse import Warehouse


@app.command()
def recommend(
    user: Annotated[str, typer.Argument(help="The customer's id; '*' for a visitor.")],
    placement: Annotated[str, typer.Option(metavar="P", help="Where in the shop.")] = "for_you",
) -> None:
    """Show what a customer sees, with titles and reasons.

    A customer without a list of their own sees a default list, and it is said why.

    \b
    Examples:
      recsys recommend 1
      recsys recommend 1 --placement discover
    """
    from recsys.cli.tables import list_table
    from recsys.publication import customer_list

    settings = read_settings()
    settings.placement(placement)
    with open_ready(settings, "recsys recommend") as warehouse:
        shown = customer_list(warehouse, settings, user, placement)
    console = make_console()
    console.print(
        f"{shown.placement}: what customer {shown.user_id} sees, as of {shown.as_of:%Y-%m-%d %H:%M}, "
        f"model version {shown.model_version}",
        markup=False,
    )
    if shown.is_default:
        console.print(shown.why, markup=False)
    console.print(list_table(shown))


@app.command()
def publications(
    placement: Annotated[str | None, typer.Option(metavar="P", help="Only this placement.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="As JSON, with state, run, snapshot, code and decision of each.")
    ] = False,
) -> None:
    """List what was published, newest first.

    Shown are what is live, what came before, and what failed and why.

    \b
    Examples:
      recsys publications
      recsys publications --placement for_you
      recsys publications --json
    """
    from recsys import ledger
    from recsys.cli.tables import publication_table
    from recsys.publication import list_publications

    settings = read_settings()
    if placement is not None:
        settings.placement(placement)
    with open_ready(settings, "recsys publications") as warehouse:
        records = list_publications(warehouse, placement)
        decisions = ledger.list_decisions(warehouse, placement)
    if as_json:
        typer.echo(json.dumps(_with_decisions(records, decisions), indent=1, default=str))
        return
    console = make_console()
    if not records:
        console.print("Nothing was published yet. recsys run publishes, or says why a version may not go live.")
        return
    console.print(publication_table(records))
    for record in records:
        for failure in record.audit.get("failures", []):
            console.print(f"{record.publication_id} failed: {failure}", markup=False)


@app.command()
def rollback(
    placement: Annotated[
        str | None, typer.Option(metavar="P", help="Where; needed when several placements are live.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "no reason given",
    by: Annotated[str | None, typer.Option(help="Who decides; your log-in name if absent.")] = None,
) -> None:
    """Return a placement to its previous publication.

    What is live is withdrawn at once; the version that made the previous lists is the champion again.
    Nothing is trained. The alias in MLflow follows, now or at the next run. It tells how long it took until
    readers saw the lists of before.

    \b
    Examples:
      recsys rollback --placement for_you --reason "too many sweets"
    """
    from recsys.cli.aliases import follow_aliases
    from recsys.moments import clock
    from recsys.publication import rollback as roll_back

    settings = read_settings()
    now, begun = clock(), perf_counter()
    if placement is not None:
        settings.placement(placement)
    with open_ready(settings, "recsys rollback") as warehouse:
        where = placement or _only_live(warehouse, settings)
        decided_by = by or getpass.getuser()
        record = roll_back(warehouse, settings, where, decided_by=decided_by, channel="cli", reason=reason, now=now)
    taken = perf_counter() - begun
    console = make_console()
    console.print(
        f"{where}: {record.publication_id} is live again (as of {record.as_of:%Y-%m-%d %H:%M}, version "
        f"{record.model_version} of {record.model_name}). Readers saw it after {taken:.1f} s.",
        markup=False,
    )
    for line in follow_aliases(settings, now):
        console.print(line, markup=False)


@app.command()
def status() -> None:
    """Show what is live, who approved it, and what waits.

    It also says what a rollback would return to, and whether a training is needed.

    \b
    Examples:
      recsys status
    """
    from recsys import ledger
    from recsys.cli.monitoring import training_lines
    from recsys.cli.tables import decision_table, status_table
    from recsys.moments import clock
    from recsys.publication import list_canaries, list_publications

    settings = read_settings()
    with open_ready(settings, "recsys status") as warehouse:
        champions = {name: ledger.champion(warehouse, name) for name in settings.placements}
        records = list_publications(warehouse)
        decisions = ledger.list_decisions(warehouse)
        aliases = ledger.list_aliases(warehouse)
        canaries = list_canaries(warehouse)
        name = warehouse.name
    console = make_console()
    console.print(f"Warehouse  {name}\nHome       {settings.resolved_home}", markup=False, soft_wrap=True)
    console.print(status_table(list(settings.placements), champions, records))
    if decisions:
        console.print(decision_table(decisions[-5:]))
    for line in [*_canary_lines(canaries), *_alias_lines(aliases), *training_lines(settings, clock())]:
        console.print(line, markup=False)


def _canary_lines(canaries: "list[Canary]") -> Iterator[str]:
    """Say which versions are on trial, a line each."""
    for canary in canaries:
        if canary.status == "running":
            whom = "nobody (shadow)" if canary.is_shadow else f"{canary.share:.2%} of the customers"
            yield (
                f"The canary {canary.canary_id} shows version {canary.model_version} of {canary.model_name} to {whom}: "
                "recsys canary status."
            )


def _alias_lines(aliases: "list[Alias]") -> Iterator[str]:
    """Say which versions wait for a person, and what MLflow does not show yet, a line each."""
    for alias in aliases:
        if alias.alias == "challenger" and alias.wanted_version is not None:
            yield (
                f"Version {alias.wanted_version} of {alias.model_name} waits for a decision: recsys approve or "
                f"reject {alias.model_name} {alias.wanted_version} --reason WHY."
            )
        if not alias.is_written:
            wanted = alias.wanted_version or "absent"
            yield f"MLflow's alias {alias.alias} of {alias.model_name} is still to become {wanted}."


def _with_decisions(records: "list[PublicationRecord]", decisions: "list[Decision]") -> list[dict[str, Any]]:
    """Return publications with all that they came from, and the decision that allowed each."""
    by_id = {entry.decision_id: asdict(entry) for entry in decisions}
    return [{**asdict(record), "decision": by_id.get(record.decision_id or "")} for record in records]


def _only_live(warehouse: "Warehouse", settings: "Settings") -> str:
    from recsys.publication import live_publication

    live = [name for name in settings.placements if live_publication(warehouse, name) is not None]
    if not live:
        raise NotFoundError("Nothing is live, so there is nothing to roll back. recsys run publishes.")
    if len(live) > 1:
        raise SettingsError(
            f"Several placements are live ({', '.join(live)}); say which one to roll back: --placement {live[0]}"
        )
    return live[0]
