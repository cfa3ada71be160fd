"""What customers of a shop see, row by row, and whether it was approved."""

from recsys import ledger
from recsys.publication import Canary, live_list, live_publication
from recsys.settings import Settings
from recsys.warehouse import open_warehouse


def shown(settings: Settings, placement: str = "for_you") -> dict[str, list[tuple[str, str]]]:
    """Return the publication and the item of each row that customers see, by customer, in the view."""
    query = """
        select user_id, publication_id, item_id from recsys.live_recommendations
        where placement = :placement and user_id like 'u%' order by user_id, rank
    """
    found: dict[str, list[tuple[str, str]]] = {}
    with open_warehouse(settings, purpose="test") as warehouse:
        for row in warehouse.query(query, {"placement": placement}):
            found.setdefault(row["user_id"], []).append((row["publication_id"], row["item_id"]))
    assert len(found) > 200
    return found


def check_arms(settings: Settings, canary: Canary, main: str) -> set[str]:
    """Check that each customer sees their arm's publication, in the view and in the live files; return who is in."""
    seen = {user: {publication for publication, _ in rows} for user, rows in shown(settings).items()}
    inside = {user for user in seen if canary.includes(user)}
    assert seen == {user: {canary.publication_id if user in inside else main} for user in seen}
    for user in (min(inside), max(inside), *sorted(set(seen) - inside)[:2]):
        assert live_list(settings, user, "for_you").publication_id == (
            canary.publication_id if user in inside else main
        )
    return inside


def approved_only(settings: Settings) -> None:
    """Check that all that is live is of the ledger's champion, and was allowed by a decision."""
    with open_warehouse(settings, purpose="test") as warehouse:
        for placement in settings.placements:
            champion = ledger.champion(warehouse, placement)
            found = live_publication(warehouse, placement)
            assert champion is not None and found is not None
            assert (found.model_name, found.model_version) == (champion.model_name, champion.model_version)
            assert found.decision_id in {one.decision_id for one in ledger.list_decisions(warehouse, placement)}
