"""A page inside Airflow's UI: what is live on each placement, and what one customer sees.

It reads the live files below RECSYS_HOME and nothing else, so it never holds up a task that needs the
warehouse, and it changes nothing. Every Airflow process imports this file, only the API server answers by
it: what is heavy is imported by the routes.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Final

from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse

if TYPE_CHECKING:
    from jinja2 import Template

    from recsys.publication import CustomerList, LivePublication

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'self'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
CustomerId = Annotated[str, Query(max_length=200)]
PlacementName = Annotated[str, Query(pattern=r"^([a-z][a-z0-9_]{0,62})?$")]


async def logged_in(request: Request) -> None:
    """Refuse whoever Airflow doesn't know.

    Raises:
        HTTPException: 401 without a valid session or token, 403 for one that isn't genuine.
    """
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    await get_user(request, None, await bearer_scheme(request))


# Airflow doesn't guard a plugin's routes. The guard is the app's own, so that no route can be added without
# it; the routes that FastAPI adds by itself (its documentation) don't pass it and are off.
app = FastAPI(
    title="Recommendations", dependencies=[Depends(logged_in)], docs_url=None, redoc_url=None, openapi_url=None
)


@app.get("/")
def page(user: CustomerId = "", placement: PlacementName = "") -> HTMLResponse:
    """Show what is live; with a customer's id also their list on one placement, the first if none is named."""
    from recsys.errors import NotFoundError, RecsysError
    from recsys.publication import live_list, live_publications
    from recsys.settings import load_settings

    live: list[LivePublication] = []
    shown: CustomerList | None = None
    placements: list[str] = []
    problem, status = "", 200
    user = user.strip()
    try:
        settings = load_settings()
        placements = list(settings.placements)
        placement = placement or placements[0]
        live = live_publications(settings)
        shown = live_list(settings, user, placement) if user else None
    except RecsysError as error:
        problem, status = str(error), 404 if isinstance(error, NotFoundError) else 500
    content = _template().render(
        live=live,
        placements=placements,
        user=user,
        placement=placement,
        shown=shown,
        problem=problem,
    )
    return HTMLResponse(content, status, HEADERS)


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    here = Path(__file__).resolve()
    environment = Environment(
        loader=FileSystemLoader(here.parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(here.with_suffix(".html").name)


class ReviewPlugin(AirflowPlugin):
    """Adds the page to Airflow's navigation."""

    name = "recsys_review"
    fastapi_apps: ClassVar = [{"app": app, "url_prefix": "/recommendations", "name": "Recommendations"}]
    # Airflow cuts a longer label in the navigation.
    external_views: ClassVar = [
        {"name": "Recs", "href": "recommendations/", "destination": "nav", "url_route": "recommendations"}
    ]
