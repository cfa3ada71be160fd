"""What the demo ends with: what is live, what one customer sees and why, and where the numbers are."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys.errors import NotFoundError
from recsys.publication import CustomerList, customer_list
from recsys.stack.stack import Stack
from recsys.warehouse import Warehouse, open_warehouse

_ANY_CUSTOMER: Final = (
    "select user_id from recsys.live_recommendations where user_id <> '*' and user_id not like 'segment:%' "
    "order by length(user_id), user_id limit 1"
)


def show_summary(
    stack: Stack,
    versions: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, Mapping[str, float]],
    publications: Sequence[Mapping[str, Any]],
) -> None:
    """Print what the runs came to.

    Args:
        stack: the running stack.
        versions: registered model versions, each with placement, model and version.
        metrics: NDCG@10 by placement and model.
        publications: what was published, each with publication_id, placement, customers, rows and skipped.
    """
    console = stack.console
    if publications:
        console.print("\n[bold]Published[/]", _published(publications), sep="\n")
    if metrics:
        ordered = {name: metrics[name] for name in stack.settings.placements if name in metrics}
        console.print("\n[bold]NDCG@10 on days that no model had seen[/]", _measured(ordered), sep="\n")
    _show_customer(stack)
    for version in versions:
        page = f"{stack.layout.mlflow_url}/#/models/{version['model']}/versions/{version['version']}"
        console.print(f"{version['placement']}: metrics and evidence at {page}", soft_wrap=True)


def _published(publications: Sequence[Mapping[str, Any]]) -> Table:
    table = Table()
    for heading in ("placement", "what happened", "publication"):
        table.add_column(heading)
    table.add_column("customers", justify="right")
    table.add_column("rows", justify="right")
    for row in publications:
        happened = "unchanged, it was live already" if row["skipped"] else f"now {row['status']}"
        numbers = (f"{row['customers']:,}", f"{row['rows']:,}")
        table.add_row(row["placement"], happened, row["publication_id"], *numbers)
    return table


def _measured(metrics: Mapping[str, Mapping[str, float]]) -> Table:
    table = Table()
    table.add_column("model")
    models: dict[str, None] = {}
    for placement, values in metrics.items():
        table.add_column(placement, justify="right")
        models.update(dict.fromkeys(sorted(values, key=lambda name: values[name], reverse=True)))
    for model in models:
        cells = (metrics[placement].get(model) for placement in metrics)
        table.add_row(model, *("" if value is None else f"{value:.3f}" for value in cells))
    return table


def _show_customer(stack: Stack) -> None:
    with open_warehouse(stack.settings, purpose="recsys demo, summary") as warehouse:
        found = warehouse.query(_ANY_CUSTOMER)
        if not found:
            stack.console.print("Nothing is live yet: no model has been promoted.")
            return
        for placement in stack.settings.placements:
            _show_list(stack.console, warehouse, stack, str(found[0]["user_id"]), placement)


def _show_list(console: Console, warehouse: Warehouse, stack: Stack, user_id: str, placement: str) -> None:
    try:
        shown = customer_list(warehouse, stack.settings, user_id, placement)
    except NotFoundError as error:
        console.print(Text(str(error)))
        return
    heading = f"{shown.placement}: what customer {shown.user_id} sees, as of {shown.as_of:%Y-%m-%d %H:%M}"
    console.print(Text(f"\n{heading}", "bold"))
    if shown.why:
        console.print(Text(shown.why))
    console.print(_list_table(shown))


def _list_table(shown: CustomerList) -> Table:
    table = Table()
    table.add_column("", justify="right")
    table.add_column("product")
    table.add_column("why")
    for row in shown.rows:
        table.add_row(str(row.rank), Text(row.title or row.item_id), Text(row.reason))
    return table
