"""A registered model at work: from a bundle of plain files to lists, in any process.

A bundle holds ``recipe.json``, ``ranker.txt`` and ``state/`` (the item side of the state at training).
"""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from recsys import columns as c
from recsys.compute import engine, fetch_columns
from recsys.cuts import lay_cut
from recsys.errors import SettingsError
from recsys.ranking import Ranker
from recsys.scoring.recipe import Recipe
from recsys.scoring.shard import Scorer, score_customers
from recsys.scoring.state import FittedState, fit_state
from recsys.settings import Settings, load_settings
from recsys.snapshot import Snapshot

Row = dict[str, Any]


def load_recommender(bundle: Path) -> "Recommender":
    """Load the model that a bundle holds."""
    return Recommender(bundle)


class Recommender:
    """Answers for customers of one placement."""

    def __init__(self, bundle: Path) -> None:
        self.recipe = Recipe.load(bundle)
        self._home = tempfile.TemporaryDirectory(prefix="recsys-model-")
        settings = load_settings(home=Path(self._home.name))
        self.settings: Settings = self.recipe.apply(settings)
        self._ranker = Ranker.load(bundle)
        self._state = FittedState(bundle / "state")

    def recommend(self, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Return the lists of subjects, rank by rank.

        Args:
            rows: each with ``subject_id``, ``placement``, ``k`` and ``events``: the URI of a snapshot that
                knows the customer (the recipe is fitted on it, as the batch does), or a JSON list of the
                customer's events (item_id, event_type, occurred_at, quantity, value), which is answered from
                what the model learned at training.

        Returns:
            Rows of subject_id, item_id, rank, score, source and reason. A subject without history has none.

        Raises:
            SettingsError: if a row can't be read.
        """
        answers: list[Row] = []
        by_source: dict[str, list[Mapping[str, Any]]] = {}
        for row in rows:
            if row["placement"] != self.recipe.placement:
                raise SettingsError(
                    f"This model ranks {self.recipe.placement!r}, not {row['placement']!r} "
                    f"(subject {row['subject_id']!r})."
                )
            events = str(row["events"]).strip()
            by_source.setdefault("" if events.startswith(("[", "{")) else events, []).append(row)
        for uri, asked in by_source.items():
            table = self._from_snapshot(uri, asked) if uri else self._from_events(asked)
            answers += _shorten(table, {str(row["subject_id"]): int(row["k"]) for row in asked})
        place = {str(row["subject_id"]): i for i, row in enumerate(rows)}
        return sorted(answers, key=lambda answer: (place[answer["subject_id"]], answer["rank"]))

    def _scorer(self, state: FittedState) -> Scorer:
        return Scorer(self.settings, self.recipe.placement, self._ranker, state)

    def _from_snapshot(self, uri: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        snapshot = Snapshot.open(uri)
        state = FittedState(fit_state(self.settings, snapshot, self.recipe.state_key).path)
        with engine(self.settings) as connection:
            snapshot.attach(connection)
            users = fetch_columns(
                connection,
                "select user_idx from users where user_id in (select unnest($ids)) order by user_idx",
                {"ids": [str(row["subject_id"]) for row in rows]},
            )[c.USER_IDX]
            lay_cut(connection, snapshot.as_of, users)
            tables = list(score_customers(connection, self._scorer(state), snapshot.user_count))
        return pa.concat_tables(tables)

    def _from_events(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        with self._given_events(rows) as (connection, moment):
            lay_cut(connection, moment)
            return pa.concat_tables(list(score_customers(connection, self._scorer(self._state), len(rows))))

    @contextmanager
    def _given_events(self, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[duckdb.DuckDBPyConnection, datetime]]:
        """Give a connection with the views of a snapshot that holds just the given events."""
        events = [(i, event) for i, row in enumerate(rows) for event in _parse_events(row)]
        times = [event["occurred_at"] for _, event in events]
        moment = max([self._state.as_of, *(time + timedelta(seconds=1) for time in times)])
        given = pa.table(
            {
                c.USER_IDX: pa.array([i for i, _ in events], pa.int32()),
                c.ITEM_ID: pa.array([str(e[c.ITEM_ID]) for _, e in events], pa.string()),
                c.EVENT_TYPE: pa.array([str(e.get(c.EVENT_TYPE, c.PURCHASE)) for _, e in events], pa.string()),
                c.OCCURRED_AT: pa.array(times, pa.timestamp("us")),
                c.QUANTITY: pa.array([e[c.QUANTITY] for _, e in events], pa.float64()),
                c.VALUE: pa.array([e[c.VALUE] for _, e in events], pa.float64()),
            }
        )
        subjects = pa.table(
            {
                c.USER_IDX: pa.array(np.arange(len(rows)), pa.int32()),
                c.USER_ID: pa.array([str(row["subject_id"]) for row in rows], pa.string()),
                c.BUCKET: pa.array([0] * len(rows), pa.int16()),
                c.SEGMENT: pa.array([""] * len(rows), pa.string()),
                c.ATTRIBUTES: pa.array([""] * len(rows), pa.string()),
            }
        )
        with engine(self.settings) as connection:
            connection.from_parquet(str(self._state.folder / "catalogue.parquet")).create_view(c.ITEMS)
            connection.execute(
                "create temp view item_versions as select item_idx, exists_from as valid_from, "
                "null::timestamp as valid_to, title, category, brand, recommendable from items"
            )
            connection.execute(
                "create temp table promotions (item_idx integer, market varchar, starts_at timestamp, "
                "ends_at timestamp, known_at timestamp)"
            )
            self._state.attach_rules(connection)
            connection.register("given", given)
            connection.register(c.USERS, subjects)
            connection.execute(
                "create temp table events as select given.*, items.item_idx, given.occurred_at as known_at, "
                "null::timestamp as undone_at, row_number() over () as event_id, "
                "strftime(given.occurred_at, '%Y-%m-%dT%H:%M') as basket_id, null::varchar as market "
                "from given inner join items on given.item_id = items.item_id"
            )
            yield connection, moment


def _parse_events(row: Mapping[str, Any]) -> list[Row]:
    try:
        events = json.loads(row["events"])
        return [
            {
                **event,
                c.OCCURRED_AT: _naive_utc(datetime.fromisoformat(str(event[c.OCCURRED_AT]))),
                c.QUANTITY: float(event.get(c.QUANTITY) or 1),
                c.VALUE: float(event.get(c.VALUE) or 0),
            }
            for event in events
            if event[c.ITEM_ID]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"The events of subject {row['subject_id']!r} can't be read ({error}): give a snapshot's URI, or a "
            'JSON list such as [{"item_id": "12", "event_type": "purchase", "occurred_at": "2017-12-01T10:00"}].'
        ) from error


def _naive_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _shorten(table: pa.Table, k: Mapping[str, int]) -> list[Row]:
    return [
        {name: row[name] for name in ("subject_id", c.ITEM_ID, c.RANK, c.SCORE, c.SOURCE, c.REASON)}
        for row in table.to_pylist()
        if row[c.RANK] <= k[row["subject_id"]]
    ]
