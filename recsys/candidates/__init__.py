"""Candidate generators: one file each, one interface."""

from collections.abc import Callable, Iterable
from functools import partial

from recsys.candidates.als import ALS
from recsys.candidates.base import Generator, Proposals, propose
from recsys.candidates.bpr import BPR
from recsys.candidates.content import Content
from recsys.candidates.due import Due
from recsys.candidates.ease import EASE
from recsys.candidates.item_cf import ItemCF
from recsys.candidates.knowledge import Knowledge
from recsys.candidates.mf import MF
from recsys.candidates.newcomers import Newcomers
from recsys.candidates.popularity import Popularity, PopularityAll, PopularityTrending
from recsys.candidates.popularity_category import PopularityCategory
from recsys.candidates.popularity_groups import PopularityMarket, PopularitySegment
from recsys.candidates.repurchase import Repurchase
from recsys.candidates.sequences import CoPurchase, Transitions
from recsys.candidates.user_cf import UserCF
from recsys.errors import SettingsError
from recsys.history import Need
from recsys.settings import Similarity

_SIMILARITIES: tuple[Similarity, ...] = ("pearson", "tfidf", "bm25", "conditional")
_ALL: tuple[Callable[[], Generator], ...] = (
    Popularity,
    PopularityAll,
    PopularityTrending,
    PopularitySegment,
    PopularityMarket,
    PopularityCategory,
    Repurchase,
    Due,
    ItemCF,
    *(partial(ItemCF, kind) for kind in _SIMILARITIES),
    UserCF,
    *(partial(UserCF, kind) for kind in _SIMILARITIES),
    Transitions,
    CoPurchase,
    ALS,
    BPR,
    EASE,
    MF,
    Content,
    Newcomers,
    Knowledge,
)
GENERATORS = {make().name: make for make in _ALL}


def make_generator(name: str) -> Generator:
    """Return a new generator.

    Raises:
        SettingsError: if there is none of that name.
    """
    if name not in GENERATORS:
        raise SettingsError(f"There is no candidate generator {name!r}; there are: {', '.join(GENERATORS)}.")
    return GENERATORS[name]()


def needs_of(names: Iterable[str], *, scoring: bool = False) -> set[Need]:
    """Return the costly parts of a history that any of the generators is fitted on, or scores by."""
    made = [make_generator(name) for name in names]
    return {need for one in made for need in (one.scoring_needs if scoring else one.needs)}


__all__ = ["GENERATORS", "Generator", "Proposals", "make_generator", "needs_of", "propose"]
