"""Where intervals stand on their common axis."""

import pytest

from recsys.evaluation.forest import Axis


def found(difference: float, low: float | None, high: float | None) -> dict[str, float | None]:
    return {"difference": difference, "low": low, "high": high}


def test_the_axis_holds_zero_and_every_interval_with_a_margin() -> None:
    axis = Axis.around([found(0.3, 0.2, 0.5), None, found(0.1, None, None)])
    assert (axis.low, axis.high) == pytest.approx((-0.06 * 0.5, 0.5 + 0.06 * 0.5))


def test_marks_stand_in_percent_of_the_width() -> None:
    mark = Axis(-1.0, 1.0).mark(found(0.25, 0.0, 0.5))
    assert mark == {"zero": 50.0, "left": 50.0, "width": 25.0, "middle": 62.5}


def test_what_has_no_interval_has_no_mark() -> None:
    axis = Axis.around([])
    assert axis.mark(None) is None
    assert axis.mark(found(0.1, None, None)) is None
    assert 0 <= axis.place(0.0) <= 100
