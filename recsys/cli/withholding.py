"""Commands that take from customers' lists or give back, at once: suppress, suppressions, unsuppress, consent."""

import getpass
from typing import Annotated, Literal

import typer

from recsys.cli.app import app, make_console, open_ready, read_settings

Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why, for whoever looks later.")]
By = Annotated[str | None, typer.Option(metavar="NAME", help="Who wants it; your log-in name if absent.")]


@app.command()
def suppress(
    why: Why,
    item: Annotated[str | None, typer.Option(metavar="ID", help="One product.")] = None,
    brand: Annotated[str | None, typer.Option(metavar="NAME", help="All products of a brand.")] = None,
    category: Annotated[
        str | None, typer.Option(metavar="PATH", help="All of a category and of those below it, such as 'GROCERY'.")
    ] = None,
    placement: Annotated[str | None, typer.Option(metavar="P", help="Only there; everywhere if absent.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="WHEN", help="A date or UTC time; until it is ended if absent.")
    ] = None,
    by: By = None,
) -> None:
    """Take products out of all live lists, at once.

    What matches all of item, brand and category that are given is not shown; the spare rows of the lists move
    up. Nothing is published anew, and a rollback does not undo it.

    \b
    Examples:
      recsys suppress --item 1082185 --why "recalled"
      recsys suppress --brand Acme --category "GROCERY > SNACKS" --until 2026-12-01 --why "out of stock"
    """
    from recsys import publication
    from recsys.moments import clock, parse_moment

    settings = read_settings()
    now = clock()
    ends_at = parse_moment(until) if until else None
    rule = publication.Rule(now, item, brand, category, placement, ends_at)
    with open_ready(settings, "recsys suppress") as warehouse:
        made = publication.suppress(warehouse, settings, rule, by=by or getpass.getuser(), reason=why, now=now)
    where = made.placement or "every placement"
    end = f"until {made.ends_at:%Y-%m-%d %H:%M} UTC" if made.ends_at else "until it is ended"
    text = (
        f"{made.suppression_id}: {made.what} is hidden on {where} {end}; it matches {made.item_count:,} products.\n"
        f"To show them again: recsys unsuppress {made.suppression_id} --why WHY"
    )
    make_console().print(text, markup=False)


@app.command()
def unsuppress(
    suppression: Annotated[str, typer.Argument(help="The rule's id, as recsys suppressions shows it.")],
    why: Why,
    by: By = None,
) -> None:
    """End a suppression: what it hid is shown again, at once.

    Its record stays.

    \b
    Examples:
      recsys unsuppress s0a1b2c3d --why "the recall is over"
    """
    from recsys import publication
    from recsys.moments import clock

    settings = read_settings()
    now = clock()
    with open_ready(settings, "recsys unsuppress") as warehouse:
        rule = publication.unsuppress(warehouse, settings, suppression, by=by or getpass.getuser(), reason=why, now=now)
    make_console().print(f"{rule.suppression_id}: {rule.what} is shown again.", markup=False)


@app.command()
def suppressions(
    ended: Annotated[bool, typer.Option("--all", help="Those that have ended, too.")] = False,
) -> None:
    """List what is hidden from customers, by whom and why.

    \b
    Examples:
      recsys suppressions
      recsys suppressions --all
    """
    from recsys.cli.tables import suppression_table
    from recsys.moments import clock
    from recsys.publication import list_suppressions

    settings = read_settings()
    now = clock()
    with open_ready(settings, "recsys suppressions") as warehouse:
        rules = list_suppressions(warehouse)
    shown = [rule for rule in rules if ended or rule.ends_at is None or rule.ends_at > now]
    console = make_console()
    if shown:
        console.print(suppression_table(shown, now))
    else:
        console.print("Nothing is hidden. recsys suppress hides products from all live lists.")


@app.command()
def consent(
    user: Annotated[str, typer.Argument(help="The customer's id.")],
    change: Annotated[Literal["withdraw", "grant"], typer.Argument(help="Whether they want lists of their own.")],
    why: Why,
    by: By = None,
) -> None:
    """Withdraw or grant a customer's consent to lists of their own, at once.

    A customer without it sees the list for everybody. A withdrawal holds, whatever a load of the shop brings, until
    the consent is granted again.

    \b
    Examples:
      recsys consent 1 withdraw --why "asked by mail"
      recsys consent 1 grant --why "asked by mail"
    """
    from recsys.moments import clock
    from recsys.publication import set_consent

    settings = read_settings()
    now = clock()
    with open_ready(settings, "recsys consent") as warehouse:
        done = set_consent(
            warehouse,
            settings,
            user,
            is_granted=change == "grant",
            by=by or getpass.getuser(),
            reason=why,
            now=now,
        )
    sees = "a list of their own, where there is one" if done.is_granted else "the list for everybody"
    already = " It was so already." if done.is_skipped else ""
    make_console().print(f"Customer {user!r} sees {sees}.{already}", markup=False)
