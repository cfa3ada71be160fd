"""Commands about customers' data: erase, retain, pseudonym."""

import getpass
from typing import Annotated

import typer

from recsys.cli.app import app, make_console, open_ready, read_settings

By = Annotated[str | None, typer.Option(metavar="NAME", help="Who wants it; your log-in name if absent.")]


@app.command()
def erase(
    user: Annotated[str, typer.Argument(help="The customer's id, or their pseudonym.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept, so don't name the customer.")],
    by: By = None,
) -> None:
    """Remove a customer from everything that is kept here, and keep them out.

    Their rows, lists, examples and files go; snapshots are rewritten. Later loads and restored back-ups leave
    them out. The proof says what was removed where and which models had learned from it, without the id.
    An erasure that was ended half-way goes on when it is run again.

    \b
    Examples:
      recsys erase 1 --reason "request 4711"
      recsys erase c-0123456789abcdef0123 --reason "request 4711"
    """
    from recsys import pipeline
    from recsys.moments import clock

    settings, now = read_settings(), clock()
    done = pipeline.erase(settings, user=user, by=by or getpass.getuser(), reason=reason, now=now)
    proof = done["proof"]
    console = make_console()
    said = "erased before; nothing was found since" if done["skipped"] else "erased"
    console.print(f"{done['erasure_id']}: {said}.", markup=False)
    for part in ("rows", "evaluations", "deleted"):
        for name, count in proof.get(part, {}).items():
            console.print(f"  {name}: {count:,}", markup=False)
    for one in proof.get("snapshots", []):
        console.print(f"  snapshot {one['old']['snapshot_id']} -> {one['new']['snapshot_id']}", markup=False)
    for one in proof.get("models", []):
        what = f"{one['model']} version {one['version']}" if "model" in one else one["unknown"]
        console.print(f"  had learned from this customer: {what}", markup=False)
    console.print(f"Proof: {settings.resolved_home / 'erasures' / done['erasure_id']}.json", markup=False)


@app.command()
def retain() -> None:
    """Remove what is older than the settings keep, and erase again who came back.

    The settings privacy.event_days, privacy.quarantine_days and privacy.snapshot_days say what is kept how
    long; without them everything is. Somebody who was erased comes back with a back-up that was restored.

    \b
    Examples:
      RECSYS_PRIVACY__SNAPSHOT_DAYS=90 recsys retain
    """
    from recsys import pipeline
    from recsys.moments import clock

    done = pipeline.retain(read_settings(), by=getpass.getuser(), now=clock())
    console = make_console()
    for part in ("rows", "artifacts"):
        for name, count in done[part].items():
            console.print(f"{name}: {count:,} removed", markup=False)
    for erasure_id in done["erasures"]:
        console.print(f"{erasure_id}: erased again", markup=False)
    if not any(done.values()):
        console.print("Nothing was too old, and nobody came back.")


@app.command()
def pseudonym(user: Annotated[str, typer.Argument(help="A customer's id, or a pseudonym.")]) -> None:
    """Show a customer's pseudonym, or whom a pseudonym names.

    Reports, logs and Airflow's forms name customers by pseudonyms. Whom one names is looked up in the shop's
    tables.

    \b
    Examples:
      recsys pseudonym 1
      recsys pseudonym c-0123456789abcdef0123
    """
    from recsys.pseudonyms import Pseudonyms, is_pseudonym
    from recsys.publication import resolved

    settings = read_settings()
    if not is_pseudonym(user):
        typer.echo(Pseudonyms.of(settings).name(user))
        return
    with open_ready(settings, "recsys pseudonym") as warehouse:
        found = resolved(warehouse.query, settings, user)
    typer.echo("Nobody in the shop's tables has this pseudonym." if found == user else found)
