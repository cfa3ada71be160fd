"""The LightGBM LambdaRank ranker, kept as LightGBM's own text: no pickle."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import lightgbm as lgb
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from recsys import columns as c
from recsys.engine import Peers
from recsys.errors import ContractError
from recsys.ranking.compiled import CompiledTrees
from recsys.ranking.labels import gains_of
from recsys.ranking.ranking_set import RankingSet
from recsys.settings import LearnerSettings, Objective, Settings

MODEL_FILE = "ranker.txt"
PEER_MINUTES = 10  # for which one that trains waits for another
COMPILED_FROM = 50_000_000  # rows times trees: LightGBM follows them in the time that compiling takes


@dataclass(frozen=True)
class Ranker:
    """A trained booster and the names of its columns."""

    booster: lgb.Booster
    names: tuple[str, ...]
    followed: ClassVar[int] = 0  # rows times trees, by all rankers of this process

    def scores(self, features: NDArray[np.float32], threads: int) -> NDArray[np.float64]:
        """Return (r,) scores of (r, f) rows; higher is better, comparable within one customer.

        A process that scores many rows goes on with compiled trees: the scores are the same.
        """
        if not len(features):
            return np.empty(0)
        Ranker.followed += len(features) * self.booster.num_trees()
        if Ranker.followed >= COMPILED_FROM and self._compiled is not None:
            return self._compiled.scores(np.ascontiguousarray(features))
        return np.asarray(self.booster.predict(features, num_threads=threads))

    @cached_property
    def _compiled(self) -> CompiledTrees | None:
        return CompiledTrees.of(self.booster)

    def first(self, trees: int) -> "Ranker":
        """Return a ranker of the first trees.

        It has a booster of its own, since one booster can't be asked for different numbers of trees by several threads.
        """
        return Ranker(lgb.Booster(model_str=self.booster.model_to_string(num_iteration=trees)), self.names)

    def importance(self) -> list[dict[str, object]]:
        """Return the features by their total gain, highest first."""
        gain = self.booster.feature_importance("gain")
        order = np.argsort(-gain, kind="stable")
        return [{"feature": self.names[i], "gain": float(gain[i])} for i in order]

    def save(self, folder: Path) -> Path:
        """Write the model as text."""
        path = folder / MODEL_FILE
        self.booster.save_model(str(path))
        return path

    @classmethod
    def load(cls, folder: Path) -> "Ranker":
        """Read a model that ``save`` wrote."""
        booster = lgb.Booster(model_file=str(folder / MODEL_FILE))
        return cls(booster, tuple(booster.feature_name()))


def train_ranker(rows: RankingSet, settings: Settings, learner: LearnerSettings | None = None) -> Ranker:
    """Train a ranker on a ranking set; the same rows give the same model for any number of threads.

    Args:
        rows: what to learn from.
        settings: give the seed and the threads.
        learner: how to learn; the settings' section ``ranker`` if None.

    Raises:
        ContractError: if no candidate was bought, so there is nothing to learn.
    """
    _require_bought(rows.labels)
    chosen = learner or settings.ranker
    return Ranker(_train(rows, settings, chosen, len(rows.labels), {}), rows.names)


def train_share(files: Sequence[Path], settings: Settings, learner: LearnerSettings, peers: Peers) -> Ranker:
    """Train a ranker together with others, by LightGBM's data-parallel mode: each has its share of the rows.

    The same number of peers gives the same model, wherever they are; another number gives another model, since each
    peer finds bins and draws rows from its own share.

    Args:
        files: of the ranking set that all learn from, one a cut.
        settings: give the seed and the threads.
        learner: how to learn.
        peers: which share is this one's, and where the others are.

    Returns:
        The ranker, the same to every peer.

    Raises:
        ContractError: if no candidate was bought, so there is nothing to learn.
    """
    labels = np.concatenate([pq.read_table(path, columns=[c.LABEL])[c.LABEL].to_numpy() for path in files])
    _require_bought(labels)
    rows = RankingSet.read_share(files, peers.rank, len(peers.addresses))
    network: dict[str, object] = {
        "tree_learner": "data",
        "pre_partition": True,
        "num_machines": len(peers.addresses),
        "machines": ",".join(peers.addresses),
        "local_listen_port": peers.port,
        "time_out": PEER_MINUTES,
    }
    booster = _train(rows, settings, learner, len(labels), network)
    booster.free_network()
    # Where the peers were is nobody's business later, and would make two equal models differ.
    text = re.sub(r"^\[(machines|local_listen_port): .*\]\n", "", booster.model_to_string(), flags=re.MULTILINE)
    return Ranker(lgb.Booster(model_str=text), rows.names)


def _require_bought(labels: NDArray[np.generic]) -> None:
    if not labels.any():
        raise ContractError(
            "No candidate was bought within the horizon at any training cut: there is nothing to learn from. "
            "Load more history, or set RECSYS_RANKER__HORIZON_DAYS higher."
        )


def _train(
    rows: RankingSet, settings: Settings, chosen: LearnerSettings, row_count: int, network: Mapping[str, object]
) -> lgb.Booster:
    labels, weights, extra = _graded(rows.labels, gains_of(settings.ranker.event_weights), chosen.objective)
    parameters = {
        "objective": chosen.objective,
        "lambdarank_truncation_level": chosen.truncation,
        "num_leaves": chosen.leaves,
        "learning_rate": chosen.learning_rate,
        "min_data_in_leaf": min(chosen.min_rows_in_leaf, max(1, row_count // 50)),
        "lambda_l2": chosen.l2,
        "feature_fraction": chosen.feature_fraction,
        "bagging_fraction": chosen.bagging_fraction,
        "bagging_freq": 1,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.thread_count,
        "verbosity": -1,
        **extra,
        **network,
    }
    data = lgb.Dataset(rows.features, labels, weight=weights, group=rows.groups, feature_name=list(rows.names))
    return lgb.train(parameters, data, num_boost_round=chosen.trees)


def _graded(
    levels: NDArray[np.int8], gains: NDArray[np.float64], objective: Objective
) -> tuple[NDArray[np.generic], NDArray[np.float64] | None, dict[str, object]]:
    """Return labels, weights of rows and parameters that give each level its gain in an objective.

    LambdaRank is told the gains. XE-NDCG (Bruch 2021) knows none but 2 ** level - 1, so there only the order of the
    weights counts. Binary knows no levels: a row counts as much as its gain. With one level there is nothing to grade.
    """
    if len(gains) == 2 or objective == "rank_xendcg":
        return levels, None, {}
    if objective == "lambdarank":
        return levels, None, {"label_gain": gains.tolist()}
    return (levels > 0).astype(np.int8), np.r_[1.0, gains[1:] / gains[-1]][levels], {}


def save_importance(ranker: Ranker, path: Path) -> None:
    """Write the features by gain as JSON."""
    path.write_text(json.dumps(ranker.importance(), indent=1), encoding="utf-8")
