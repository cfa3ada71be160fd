"""How a moment may be written."""

from datetime import datetime

import pytest

from recsys.errors import SettingsError
from recsys.moments import parse_moment


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("latest", None),
        ("2017-12-05", datetime(2017, 12, 5)),
        ("2017-12-05T06:30", datetime(2017, 12, 5, 6, 30)),
        ("2017-12-05T06:30:00+02:00", datetime(2017, 12, 5, 4, 30)),
    ],
)
def test_moments(text: str, moment: datetime | None) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize("text", ["yesterday", "2017-13-05", "", "2017/12/05", "'; drop table users; --"])
def test_what_is_no_moment_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="neither 'latest', a date"):
        parse_moment(text)
