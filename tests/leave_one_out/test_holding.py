"""What is known at each stand, by hand."""

import pytest

from recsys.leave_one_out.holding import read_labels, stand_at
from recsys.leave_one_out.interactions import read_interactions
from recsys.settings import PublicationSettings
from tests.support.sequences import write_sequences
from tests.support.warehouse import make_settings

SEQUENCES = {"one": "a", "two": "ab", "three": "abc", "four": "abcd", "six": "abcdef"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("held")
    settings = make_settings(folder, publication=PublicationSettings(min_item_purchases=0))
    (folder / "snapshot").mkdir()
    return settings, read_interactions(settings, write_sequences(folder / "e.csv", SEQUENCES), folder / "snapshot")


@pytest.mark.parametrize(
    ("held", "known"),
    [
        (1, {"one": "a", "two": "ab", "three": "ab", "four": "abc", "six": "abcde"}),
        (2, {"one": "a", "two": "ab", "three": "a", "four": "ab", "six": "abcd"}),
        (3, {"one": "a", "two": "ab", "three": "a", "four": "a", "six": "abc"}),
    ],
)
def test_the_last_events_of_each_customer_are_hidden(made, held: int, known: dict[str, str]) -> None:
    settings, found = made
    with stand_at(settings, found.snapshot, held) as stand:
        query = (
            "select user_id, string_agg(item_id, '' order by occurred_at) from {} join users using (user_idx) "
            "join items using (item_idx) group by user_id"
        )
        assert dict(stand.connection.execute(query.format("events")).fetchall()) == known
        assert dict(stand.connection.execute(query.format("purchases")).fetchall()) == known
        history = stand.history(settings)
        assert history.shape == (5, 6)
        assert history.seen.sum() == sum(map(len, known.values()))
        tables = {row[0] for row in stand.connection.execute("show tables").fetchall()}
        assert "all_events" not in tables


@pytest.mark.parametrize(
    ("held", "labels"),
    [
        (1, {"three": "c", "four": "d", "six": "f"}),
        (2, {"three": "b", "four": "c", "six": "e"}),
        (3, {"four": "b", "six": "d"}),
    ],
)
def test_only_customers_of_three_events_are_asked_for(made, held: int, labels: dict[str, str]) -> None:
    settings, found = made
    asked = read_labels(found.snapshot, held)
    with stand_at(settings, found.snapshot, held) as stand:
        users = dict(stand.connection.execute("select user_idx, user_id from users").fetchall())
        items = dict(stand.connection.execute("select item_idx, item_id from items").fetchall())
    named = {users[u]: items[i] for u, i in zip(asked.users.tolist(), asked.items.tolist(), strict=True)}
    assert named == labels
    assert (asked.users[1:] > asked.users[:-1]).all()
