"""The cuts of a training: nothing that the twin learns from reaches into the hold-out."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.cuts import plan_cuts
from recsys.errors import ContractError
from recsys.settings import RankerSettings, load_settings

AS_OF = datetime(2017, 12, 5)


def settings_with(**ranker):
    return load_settings(ranker=RankerSettings(**ranker))


def test_the_cuts_of_the_demo() -> None:
    plan = plan_cuts(settings_with(cuts=2), AS_OF, datetime(2017, 1, 1))
    assert plan.holdout == datetime(2017, 11, 7)
    assert plan.twin == (datetime(2017, 9, 12), datetime(2017, 10, 10))
    assert plan.release == (datetime(2017, 10, 10), datetime(2017, 11, 7))
    assert plan.all == (datetime(2017, 9, 12), datetime(2017, 10, 10), datetime(2017, 11, 7))


@given(st.integers(1, 8), st.integers(1, 60), st.integers(100, 900))
def test_windows_never_cross(cuts: int, horizon: int, history: int) -> None:
    settings = settings_with(cuts=cuts, horizon_days=horizon)
    first = AS_OF - timedelta(days=history)
    try:
        plan = plan_cuts(settings, AS_OF, first)
    except ContractError:
        assert history < 3 * horizon
        return
    assert all(cut + plan.horizon <= plan.holdout for cut in plan.twin)
    assert all(cut + plan.horizon <= plan.as_of for cut in plan.release)
    assert plan.holdout + plan.horizon == plan.as_of
    assert all(cut - plan.horizon >= first for cut in plan.all)


def test_too_short_a_history_says_what_to_do() -> None:
    with pytest.raises(ContractError, match=r"at least three horizons of 28 days.*RECSYS_RANKER__HORIZON_DAYS"):
        plan_cuts(settings_with(), AS_OF, AS_OF - timedelta(days=60))
