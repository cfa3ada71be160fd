"""Pages from templates, and the two files that they load: a style sheet and a script of the page's own."""

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recsys.errors import NotFoundError

if TYPE_CHECKING:
    from jinja2 import Environment

HERE: Final = Path(__file__).parent
ASSETS: Final = {"review.css": "text/css; charset=utf-8", "review.js": "text/javascript; charset=utf-8"}


def render(page: str, **shown: Any) -> str:
    """Return a page as HTML.

    Args:
        page: its template's name, without ``.html``.
        shown: what the template uses; what is missing raises.
    """
    return _environment().get_template(f"{page}.html").render(page=page, **shown)


def asset(name: str) -> tuple[bytes, str]:
    """Return a file that pages load, and its media type.

    Raises:
        NotFoundError: if there is no such file.
    """
    if name not in ASSETS:
        raise NotFoundError(f"Pages load {', '.join(ASSETS)}, not {name!r}.")
    return (HERE / "static" / name).read_bytes(), ASSETS[name]


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["moment"] = _moment
    made.filters["count"] = "{:,}".format
    return made


def _moment(at: datetime | str | None) -> str:
    """Return a moment to the minute, naive UTC as everywhere."""
    if at is None:
        return ""
    return f"{datetime.fromisoformat(at) if isinstance(at, str) else at:%Y-%m-%d %H:%M}"
