"""A page inside Airflow's UI: what is live, what waits for a decision, what was decided, and what a customer sees.

It reads files below RECSYS_HOME and nothing else, so it never holds up a task that needs the warehouse. It writes
nothing itself: a button triggers a DAG in the name of whom Airflow knows as signed in. Every Airflow process imports
this file, only the API server answers by it: what is heavy is imported by the routes.
"""

import secrets
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal
from urllib.parse import quote, urlencode, urlsplit

import recsys_following
import recsys_runs
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, Form, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from recsys.errors import NotFoundError, RecsysError

if TYPE_CHECKING:
    from recsys.settings import Settings

# Not no-referrer: a browser would then say "Origin: null" with the page's own forms.
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
# The report is one file with its style inside.
REPORT_HEADERS: Final = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'",
}
READING: Final = ("GET", "HEAD")
Text = Annotated[str, Form(min_length=1, max_length=500, pattern=r"\S")]
Name = Annotated[str, Form(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,126}$")]
Token = Annotated[str, Form(pattern=r"^[0-9a-f]{16}$")]
Id = Annotated[str, Form(min_length=1, max_length=200)]


async def same_site(request: Request) -> None:
    """Refuse a write that another site's page sends with a signed-in person's cookie.

    A browser says where a request comes from, and no page can make it say otherwise. A client with a token of its own
    is no browser with a cookie.

    Raises:
        HTTPException: 403.
    """
    if request.method in READING or request.headers.get("authorization", "").lower().startswith("bearer "):
        return
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    is_ours = origin is None or urlsplit(origin).netloc in _own_hosts(request)
    if (origin is None and site is None) or not is_ours or site not in (None, "same-origin"):
        raise HTTPException(403, "This came from another site's page, so nothing was done. Use the buttons here.")


async def signed_in(request: Request) -> Any:
    """Return whom Airflow knows as signed in, if they may look at publications.

    Raises:
        HTTPException: 401 without a valid session or token, 403 for one that isn't genuine or may not look.
    """
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    user = await get_user(request, None, await bearer_scheme(request))
    if not await run_in_threadpool(recsys_runs.may, user, recsys_runs.READ, _dag("publish")):
        raise HTTPException(403, "Airflow doesn't let you look at the runs of the DAG that publishes.")
    return user


# Airflow doesn't guard a plugin's routes. The guards are the app's own, so that no route can be added without
# them; the routes that FastAPI adds by itself (its documentation) don't pass them and are off.
app = FastAPI(
    title="Recommendations",
    dependencies=[Depends(signed_in), Depends(same_site)],
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)
User = Annotated[Any, Depends(signed_in)]


@app.get("/")
def overview(user: User) -> HTMLResponse:
    """Show what is live on each placement, what waits, and whether all is well."""
    from recsys import review
    from recsys.moments import clock

    return _page("overview", user, **review.overview(_settings(), clock()))


@app.get("/version")
def version(user: User, model: str, version: str) -> HTMLResponse:
    """Show a version's evidence, and let a person decide."""
    from recsys import review

    shown = review.review(_settings(), model, version)
    return _page("version", user, **shown, evaluation=shown["sheet"].evaluation.rstrip("/").rpartition("/")[2])


@app.get("/history")
def history(user: User) -> HTMLResponse:
    """Show publications and decisions as they followed each other."""
    from recsys import review
    from recsys.moments import clock

    return _page("history", user, **review.history(_settings(), clock()), may_suppress=_may_suppress(user))


@app.get("/customer")
def customer(
    user: User,
    asked: Annotated[str, Query(alias="user", max_length=200)] = "",
    placement: Annotated[str, Query(pattern=r"^([a-z][a-z0-9_]{0,62})?$")] = "",
    hide: Annotated[str, Query(max_length=200)] = "",
) -> HTMLResponse:
    """Show what one customer sees on one placement, the first if none is named."""
    from recsys import review

    settings, asked = _settings(), asked.strip()
    placements = list(settings.placements)
    found = review.customer(settings, asked, placement or placements[0])
    return _page(
        "customer",
        user,
        404 if found.problem else 200,
        shown=found.shown,
        problem=found.problem,
        asked=found.shown.user_id if found.shown else asked,
        alias=found.alias,
        placement=placement or placements[0],
        placements=placements,
        hide=hide,
        may_suppress=_may_suppress(user),
    )


@app.post("/customer")
def ask(
    asked: Annotated[str, Form(alias="user", max_length=200)],
    placement: Annotated[str, Form(pattern=r"^([a-z][a-z0-9_]{0,62})?$")] = "",
) -> RedirectResponse:
    """Lead to a customer's list at an address without their id, since servers log addresses."""
    from recsys import review

    query = urlencode({"user": review.alias(_settings(), asked.strip()), "placement": placement})
    return RedirectResponse(f"customer?{query}", 303, HEADERS)


@app.get("/report")
def report(evaluation: Annotated[str, Query(max_length=200)]) -> Response:
    """Show the whole report of an evaluation."""
    from recsys import review

    return HTMLResponse(review.report_file(_settings(), evaluation).read_bytes(), headers=REPORT_HEADERS)


@app.get("/run")
def run(user: User, dag: str, run: str) -> HTMLResponse:
    """Show a run that was triggered here, and, once it is done, what is so now."""
    shown = _followed(user, dag, run)
    return _page(
        "run",
        user,
        title=_title(dag, shown.run.conf),
        shown=shown,
        tone=recsys_following.TONES.get(shown.run.state, ""),
        dag=dag,
        page_of_run=f"../dags/{quote(dag)}/runs/{quote(run)}",
    )


@app.get("/run-state")
def run_state(user: User, dag: str, run: str) -> JSONResponse:
    """Tell how far a run is."""
    shown = _followed(user, dag, run)
    told = {"state": shown.run.state, "told": shown.told, "lists": shown.lists}
    return JSONResponse({**told, "is_done": shown.run.is_done, "is_settled": shown.is_settled}, headers=HEADERS)


@app.get("/{name}")
def asset(name: str) -> Response:
    """Return the style sheet or the script that pages load."""
    from recsys import review

    content, kind = review.asset(name)
    return Response(content, media_type=kind, headers=HEADERS)


@app.post("/decide")
def decide(
    user: User,
    model: Name,
    version: Annotated[str, Form(pattern=r"^\d+$")],
    verdict: Annotated[Literal["approved", "rejected"], Form()],
    reason: Text,
    token: Token,
    override: Annotated[Literal["", "yes"], Form()] = "",
) -> RedirectResponse:
    """Trigger the DAG that records a decision, in the name of whom Airflow knows as signed in."""
    told = {"model": model, "version": version, "verdict": verdict, "reason": reason.strip()}
    return _started(user, "decide", token, {**told, "override": override == "yes" and verdict == "approved"})


@app.post("/rollback")
def rollback(
    user: User, placement: Name, publication: Id, reason: Text, sure: Annotated[Literal["yes"], Form()], token: Token
) -> RedirectResponse:
    """Trigger the DAG that returns a placement to the lists before."""
    conf = {"placement": placement, "publication": publication, "reason": reason.strip()}
    return _started(user, "rollback", token, conf)


@app.post("/suppress")
def suppress(
    user: User,
    item: Id,
    reason: Text,
    token: Token,
    where: Annotated[str, Form(pattern=r"^([a-z][a-z0-9_]{0,62})?$")] = "",
) -> RedirectResponse:
    """Trigger the DAG that takes a product out of all live lists."""
    told = {"action": "hide products", "item": item.strip(), "placement": where, "reason": reason.strip()}
    return _started(user, "suppress", token, told)


@app.post("/unsuppress")
def unsuppress(user: User, rule: Id, reason: Text, token: Token) -> RedirectResponse:
    """Trigger the DAG that ends a rule, so that what it hid is shown again."""
    return _started(user, "suppress", token, {"action": "end a rule", "rule": rule, "reason": reason.strip()})


@app.exception_handler(RecsysError)
async def tell_problem(request: Request, error: RecsysError) -> Response:
    """Say what is wrong in the library's own words."""
    return _refusal(request, 404 if isinstance(error, NotFoundError) else 500, str(error))


@app.exception_handler(StarletteHTTPException)
async def tell_refusal(request: Request, error: StarletteHTTPException) -> Response:
    """Say why something was refused: a page for a person, JSON for a program."""
    return _refusal(request, error.status_code, str(error.detail))


def _refusal(request: Request, status: int, problem: str) -> Response:
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse({"detail": problem}, status, HEADERS)
    from recsys import review

    title = {401: "Please log in to Airflow", 403: "Not allowed", 404: "Not there"}.get(status, "That did not work")
    content = review.render("problem", title=title, problem=problem, user="", may_decide=True)
    return HTMLResponse(content, status, HEADERS)


def _page(name: str, user: Any, code: int = 200, **shown: Any) -> HTMLResponse:
    from recsys import review

    context = {
        "user": user.get_name(),
        "may_decide": _may_trigger(user, "decide"),
        "may_roll_back": _may_trigger(user, "rollback"),
        # Two presses of the same button start one run.
        "token": secrets.token_hex(8),
    }
    return HTMLResponse(review.render(name, **{**context, **shown}), code, HEADERS)


def _started(user: Any, kind: str, token: str, conf: dict[str, Any]) -> RedirectResponse:
    """Start a DAG's run for a user who may, and lead to its page.

    Raises:
        HTTPException: 403 if the user may not, 400 for a parameter that can't be used, 409 if the DAG can't run now.
    """
    from airflow.exceptions import ParamValidationError

    from recsys.artifacts import fingerprint

    dag_id = _dag(kind)
    if not _may_trigger(user, kind):
        raise HTTPException(403, f"Airflow doesn't let {user.get_name()} trigger the DAG {dag_id}.")
    run_id = f"page__{token}-{fingerprint(conf, user.get_name())[:8]}"
    try:
        recsys_runs.require_ready(dag_id)
        recsys_runs.start_run(
            dag_id, run_id=run_id, by=user.get_name(), conf=conf, note=f"{conf['reason']} (from the review page)"
        )
    except recsys_runs.NotReadyError as error:
        raise HTTPException(409, str(error)) from error
    except (ParamValidationError, ValueError) as error:
        raise HTTPException(400, f"The DAG {dag_id} refuses a parameter: {error}") from error
    return RedirectResponse(f"run?{urlencode({'dag': dag_id, 'run': run_id})}", 303, HEADERS)


def _followed(user: Any, dag_id: str, run_id: str) -> recsys_following.Followed:
    """Return a run of this platform's that a user may look at, with what is to be said about it.

    Raises:
        HTTPException: 404 if there is none, 403 if the user may not.
    """
    found = recsys_runs.run_state(dag_id, run_id) if dag_id.startswith(_dag("")) else None
    if found is None:
        raise HTTPException(404, f"There is no run {run_id!r} of a DAG {dag_id!r} of this platform.")
    if not recsys_runs.may(user, recsys_runs.READ, dag_id):
        raise HTTPException(403, f"Airflow doesn't let you look at runs of {dag_id}.")
    may_read_logs = recsys_runs.may(user, recsys_runs.READ, dag_id, recsys_runs.LOGS)
    return recsys_following.follow(_settings(), dag_id, found, may_read_logs=may_read_logs)


def _title(dag_id: str, conf: Any) -> str:
    if dag_id == _dag("decide"):
        verdict = str(conf.get("verdict", "decided")).capitalize()
        return f"{verdict}: version {conf.get('version')} of {conf.get('model')}"
    if dag_id == _dag("rollback"):
        return f"Roll back {conf.get('placement')}"
    if dag_id == _dag("suppress"):
        return f"Hide product {conf.get('item')}" if conf.get("item") else f"End the rule {conf.get('rule')}"
    return dag_id


def _may_suppress(user: Any) -> bool:
    return recsys_runs.is_there(_dag("suppress")) and _may_trigger(user, "suppress")


def _may_trigger(user: Any, kind: str) -> bool:
    return recsys_runs.may(user, recsys_runs.TRIGGER, _dag(kind))


def _dag(kind: str) -> str:
    return f"{_settings().namespace}_{kind}"


def _settings() -> "Settings":
    from recsys.settings import load_settings

    return load_settings()


def _own_hosts(request: Request) -> set[str]:
    """Return the host that was asked, and the one at which Airflow says that it is found."""
    return {request.headers.get("host", ""), _base_host()} - {""}


@cache
def _base_host() -> str:
    from airflow.configuration import conf

    return urlsplit(conf.get("api", "base_url", fallback="") or "").netloc


class ReviewPlugin(AirflowPlugin):
    """Adds the page to Airflow's navigation."""

    name = "recsys_review"
    fastapi_apps: ClassVar = [{"app": app, "url_prefix": "/recommendations", "name": "Recommendations"}]
    # Airflow cuts a longer label in the navigation.
    external_views: ClassVar = [
        {"name": "Recs", "href": "recommendations/", "destination": "nav", "url_route": "recommendations"}
    ]
