"""Prometheus' way to the newest measurements: ``/recsys-monitoring/metrics`` of Airflow's own server.

A scraper has a bearer token of Airflow (``POST /auth/token``), like any other client. What is answered stands in a
file that monitoring replaces as a whole: the warehouse, which a task may hold, is not opened.
"""

from typing import ClassVar, Final

from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse

HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


async def logged_in(request: Request) -> None:
    """Refuse whoever Airflow doesn't know.

    Raises:
        HTTPException: 401 without a valid session or token, 403 for one that isn't genuine.
    """
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    await get_user(request, None, await bearer_scheme(request))


# As on the review page: the guard is the app's own, and what FastAPI would add unguarded is off.
app = FastAPI(
    title="Recommendation metrics", dependencies=[Depends(logged_in)], docs_url=None, redoc_url=None, openapi_url=None
)


@app.get("/metrics")
def metrics() -> PlainTextResponse:
    """Return the newest measurements in Prometheus' text format; no gauge before anything was measured."""
    from recsys.errors import RecsysError
    from recsys.monitoring.prometheus import CONTENT_TYPE, prometheus_text
    from recsys.monitoring.storing import latest_figures
    from recsys.settings import load_settings

    try:
        settings = load_settings()
    except RecsysError as error:
        return PlainTextResponse(f"{error}\n", 500, HEADERS)
    text = prometheus_text(latest_figures(settings), settings.namespace)
    return PlainTextResponse(text, media_type=CONTENT_TYPE, headers=HEADERS)


class MetricsPlugin(AirflowPlugin):
    """Adds the route to Airflow's server."""

    name = "recsys_metrics"
    fastapi_apps: ClassVar = [{"app": app, "url_prefix": "/recsys-monitoring", "name": "Recommendation metrics"}]
