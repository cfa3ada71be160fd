"""Leave-one-out over an interaction file, from the file to what every model is worth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from recsys.artifacts import ArtifactStore
from recsys.errors import ContractError
from recsys.evaluation.values import Summary
from recsys.leave_one_out.choosing import FEWEST_POSITIVES, LEARNERS, Tried, ranked_ndcg
from recsys.leave_one_out.grids import BY_DEFAULT, Sweep, missing_need, sweeps_of
from recsys.leave_one_out.holding import EARLIER, TEST, VALIDATION, Labels, Stand, read_labels, stand_at
from recsys.leave_one_out.interactions import ROOM, Interactions, read_interactions
from recsys.leave_one_out.measuring import FUSED, SYSTEM, measure
from recsys.leave_one_out.proposing import Block, Proposed, joined_lists
from recsys.leave_one_out.rows import RowMaker, joined
from recsys.leave_one_out.tuning import Choice, Tuner, fit
from recsys.leave_one_out.weighing import choose_fusion
from recsys.lists import Lists
from recsys.ranking import Ranker, RankingSet, train_ranker
from recsys.settings import PlacementSettings, Settings

PER_GENERATOR: Final = 100  # products a generator proposes to a customer
CANDIDATES: Final = 150  # products left after fusion, for the ranker
TUNED_ON: Final = 6_000  # customers that generators are tuned on, drawn from all
CHOSEN_ON: Final = 5  # blocks of customers that the ranker is chosen on
REPEATS_FROM: Final = 0.01  # share of validation items that repeat an earlier one, from which repeats are proposed

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Outcome:
    """What a run of the protocol found.

    Attributes:
        customers: how many were measured.
        interactions: what the file held; its folder is gone.
        repeats: whether products that the customer had before were proposed.
        repeat_share: share of the validation items that the customer had before.
        choices: of each generator, what was best on the validation item.
        left_out: generators that were not measured, and why.
        placement: how proposals are fused.
        system: what the whole system is.
        validation: NDCG@10 of the validation item by what was tried.
        summary: what every model is worth on the test item.
    """

    customers: int
    interactions: Interactions
    repeats: bool
    repeat_share: float
    choices: Sequence[Choice]
    left_out: Mapping[str, str]
    placement: PlacementSettings
    system: str
    validation: Mapping[str, float]
    summary: Summary


def evaluate_interactions(
    settings: Settings,
    *,
    interactions: Path,
    items: Path | None = None,
    repeats: bool | None = None,
    generators: Sequence[str] = BY_DEFAULT,
    progress: Progress = lambda doing, done, total: None,
) -> Outcome:
    """Measure generators and the whole system of them by leave-one-out.

    Generators, fusion and ranker are tuned on the next-to-last item of each customer; the last one is opened once,
    when the final lists are there.

    Args:
        settings: in force.
        interactions: the file, see :func:`read_interactions`.
        items: the item file.
        repeats: whether products that the customer had before are proposed; by the validation items if None.
        generators: which are tried.
        progress: called with what is being done, how many steps are done and how many there are.

    Raises:
        SourceError: if a file can't be used.
        ContractError: if no customer has enough events to be measured.
    """
    settings = _settings_of(settings)
    with ArtifactStore.of(settings).draft(ROOM) as folder:
        made = folder / "interactions"
        made.mkdir()
        found = read_interactions(settings, interactions, made, items)
        labels = read_labels(found.snapshot, VALIDATION)
        if not len(labels.users):
            raise ContractError(
                f"No customer of {interactions} has three events or more, so none has a test item, a validation item "
                f"and a history ({found.counts['customers']:,} customers, {found.counts['events']:,} events). "
                "Give a file with longer histories."
            )
        run = _Run(settings, found, labels, folder, _Steps(progress), tuple(generators))
        return run.run(repeats)


def _settings_of(settings: Settings) -> Settings:
    """Return the settings under which all products of the file are products that may be recommended."""
    publication = settings.publication.model_copy(update={"min_item_purchases": 0})
    candidates = settings.candidates.model_copy(update={"per_generator": PER_GENERATOR})
    return settings.model_copy(update={"publication": publication, "candidates": candidates})


@dataclass
class _Steps:
    """Counts what is done."""

    progress: Progress
    total: int = 0
    done: int = -1

    def tell(self, doing: str) -> None:
        """Say what begins now; so what was begun before is done."""
        self.done += 1
        self.progress(doing, self.done, max(self.total, self.done))


@dataclass
class _Run:
    """One run: its stages in their order."""

    settings: Settings
    found: Interactions
    labels: Labels
    folder: Path
    steps: _Steps
    generators: tuple[str, ...]
    repeats: bool = False
    choices: dict[str, Choice] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def run(self, repeats: bool | None) -> Outcome:
        """Tune on the validation item, fit anew on all but the last item, measure on that."""
        with stand_at(self.settings, self.found.snapshot, VALIDATION) as stand:
            share = _repeat_share(stand.history(self.settings).seen, self.labels)
            self.repeats = share >= REPEATS_FROM if repeats is None else repeats
            proposed = self._tune(stand)
            blocks = proposed.blocks(list(self.choices))
            placement = PlacementSettings(repeats=self.repeats, fused=CANDIDATES)
            placement = choose_fusion(stand, self.settings, blocks, self.labels, placement, self.folder)
            maker = self._maker(stand)
            earlier = self._earlier_rows(placement)
            tried, later = self._try_rankers(maker, blocks, placement, proposed, earlier)
        system = tried.best()
        ranker = None
        if system in LEARNERS:
            ranker = train_ranker(joined([*earlier, *later]), self.settings, LEARNERS[system])
        lists = self._final_lists(placement, system, ranker)
        customers, summary = measure(self.settings, self.found.snapshot, lists)
        return Outcome(
            customers=customers,
            interactions=self.found,
            repeats=self.repeats,
            repeat_share=share,
            choices=list(self.choices.values()),
            left_out=self.left_out,
            placement=placement,
            system=system,
            validation=tried.means,
            summary=summary,
        )

    def _tune(self, stand: Stand) -> Proposed:
        sweeps = self._sweeps(stand)
        self.steps.total = sum(1 + sum(len(values) for _, values in own) for own in sweeps.values())
        proposed = Proposed(stand, self.labels.users, self.folder / "validation")
        variants = (False, True) if self.repeats else (False,)
        sample = self.labels.of(_drawn(len(self.labels.users), TUNED_ON, self.settings.seed))
        tuner = Tuner(stand, self.settings, sample, variants, self.steps.tell)
        for name, own in sweeps.items():
            choice, fitted = tuner.tune(name, own)
            if proposed.add(self.settings, fitted, choice):
                self.choices[name] = choice
            else:
                self.left_out[name] = "it proposed nothing"
        if not self.choices:
            raise ContractError("No generator proposed anything. Give a file in which customers share items.")
        return proposed

    def _sweeps(self, stand: Stand) -> dict[str, list[Sweep]]:
        step = _step_days(stand) if self.found.is_timed else 1.0
        known = self.settings.candidates.model_dump()
        sweeps = {}
        for name in self.generators:
            missing = missing_need(name, repeats=self.repeats, attributes=self.found.has_attributes)
            if missing is None:
                sweeps[name] = sweeps_of(name, step, known)
            else:
                self.left_out[name] = f"there are no {missing}"
        return sweeps

    def _maker(self, stand: Stand) -> RowMaker:
        folder = self.folder / f"features{stand.held}"
        folder.mkdir()
        return RowMaker(stand, self.found, folder, repeats=self.repeats)

    def _propose(self, stand: Stand, users: NDArray[np.int32]) -> Proposed:
        """Fit every generator as it was chosen, and let it propose."""
        proposed = Proposed(stand, users, self.folder / f"held{stand.held}")
        for name, choice in self.choices.items():
            self.steps.tell(name)
            proposed.add(self.settings, fit(stand, choice.applied(self.settings), name), choice)
        return proposed

    def _earlier_rows(self, placement: PlacementSettings) -> list[RankingSet]:
        """Return rows whose label is the item before the validation item."""
        labels = read_labels(self.found.snapshot, EARLIER)
        if not len(labels.users):
            return []
        with stand_at(self.settings, self.found.snapshot, EARLIER) as stand:
            blocks = self._propose(stand, labels.users).blocks(list(self.choices))
            maker = self._maker(stand)
            return [self._drawn_rows(maker, block, placement, labels) for block in blocks]

    def _drawn_rows(self, maker: RowMaker, block: Block, placement: PlacementSettings, labels: Labels) -> RankingSet:
        self.steps.tell("rows to learn from")
        negatives = next(iter(LEARNERS.values())).negatives
        return maker.rows(block, placement, labels, negatives=negatives, seed=self.settings.seed)

    def _try_rankers(
        self,
        maker: RowMaker,
        blocks: Sequence[Block],
        placement: PlacementSettings,
        proposed: Proposed,
        earlier: Sequence[RankingSet],
    ) -> tuple[Tried, list[RankingSet]]:
        """Measure single generators, fusion and rankers on the validation item; return also rows that it labels."""
        chosen = blocks[:CHOSEN_ON]
        users = np.concatenate([block.users for block in chosen])
        labels = self.labels.of(np.isin(self.labels.users, users))
        values: dict[str, list[NDArray[np.float64]]] = {}
        rankers = self._rankers(earlier)
        for block in chosen:
            self.steps.tell("choice of the ranker")
            own = labels.of(np.isin(labels.users, block.users))
            rows = maker.rows(block, placement, own)
            fused = rows.features[:, rows.names.index("fused_rank")]
            values.setdefault(FUSED, []).append(ranked_ndcg(rows, -fused, own))
            for name, ranker in rankers.items():
                scores = ranker.scores(rows.features, self.settings.thread_count)
                values.setdefault(name, []).append(ranked_ndcg(rows, scores, own))
        single = {name: _lists_ndcg(proposed.lists(name, 10), labels) for name in self.choices}
        tried = Tried(single | {name: np.concatenate(parts) for name, parts in values.items()})
        return tried, [self._drawn_rows(maker, block, placement, self.labels) for block in blocks]

    def _rankers(self, earlier: Sequence[RankingSet]) -> dict[str, Ranker]:
        if sum(int(rows.labels.sum()) for rows in earlier) < FEWEST_POSITIVES:
            return {}
        rows = joined(earlier)
        return {name: train_ranker(rows, self.settings, learner) for name, learner in LEARNERS.items()}

    def _final_lists(self, placement: PlacementSettings, system: str, ranker: Ranker | None) -> dict[str, Lists]:
        """Fit everything on all but the last item, and return every model's lists."""
        k = max(self.settings.evaluation.ks)
        with stand_at(self.settings, self.found.snapshot, TEST) as stand:
            proposed = self._propose(stand, self.labels.users)
            maker = self._maker(stand)
            fused, ranked = [], []
            for block in proposed.blocks(list(self.choices)):
                self.steps.tell("final lists")
                rows = maker.rows(block, placement, None)
                order = -rows.features[:, rows.names.index("fused_rank")]
                fused.append(Lists.ranked(rows.user_idx, rows.item_idx, order, k))
                if ranker is not None:
                    scores = ranker.scores(rows.features, self.settings.thread_count)
                    ranked.append(Lists.ranked(rows.user_idx, rows.item_idx, scores, k))
            single = {name: proposed.lists(name, k) for name in self.choices}
        lists = {FUSED: joined_lists(fused), **single}
        return {SYSTEM: joined_lists(ranked) if ranker is not None else lists[system], **lists}


def _repeat_share(seen: Any, labels: Labels) -> float:
    return float(np.asarray(seen[labels.users, labels.items] > 0).mean())


def _drawn(count: int, most: int, seed: int) -> NDArray[np.bool_]:
    chosen = np.ones(count, bool)
    if count > most:
        chosen[:] = False
        chosen[np.random.default_rng(seed).choice(count, most, replace=False)] = True
    return chosen


def _step_days(stand: Stand) -> float:
    """Return the mean days from one event of a customer to the next."""
    [(days,)] = stand.connection.execute(
        "select avg(epoch(gap)) / 86400.0 from (select occurred_at - lag(occurred_at) over (partition by user_idx "
        "order by occurred_at) as gap from events) where gap > interval 1 second"
    ).fetchall()
    return float(days or 1.0)


def _lists_ndcg(lists: Lists, labels: Labels) -> NDArray[np.float64]:
    found = np.zeros(len(labels.users))
    kept = np.isin(lists.user_idx, labels.users)
    place = np.searchsorted(labels.users, lists.user_idx[kept])
    hit = labels.items[place] == lists.item_idx[kept]
    found[place[hit]] = 1 / np.log2(lists.rank[kept][hit] + 1.0)
    return found
