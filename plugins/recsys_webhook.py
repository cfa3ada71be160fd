"""Where MLflow's webhook arrives: the one route without a log-in, which starts the reconciling DAG and nothing else.

A delivery counts if its signature is genuine, its time is within five minutes of this machine's, and it did not
come before. Its content is only a hint: the DAG looks for itself at what MLflow says now. Every Airflow process
imports this file, only the API server answers by it: what is heavy is imported by the route.
"""

import logging
import threading
import time
from collections import OrderedDict
from typing import Any, ClassVar, Final

import recsys_runs
from airflow.plugins_manager import AirflowPlugin
from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

LOG = logging.getLogger(__name__)
SENDER: Final = "mlflow-webhook"
REMEMBERED: Final = 4096

app = FastAPI(title="MLflow's webhook", docs_url=None, redoc_url=None, openapi_url=None)


class Seen:
    """The deliveries of the last minutes, of which at most so many are remembered."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._ids: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def is_new(self, delivery: str) -> bool:
        """Remember a delivery; say whether it came for the first time."""
        with self._lock:
            if delivery in self._ids:
                return False
            self._ids[delivery] = None
            if len(self._ids) > self._most:
                self._ids.popitem(last=False)
            return True

    def forget(self, delivery: str) -> None:
        """Let a delivery that could not be acted on come again."""
        with self._lock:
            self._ids.pop(delivery, None)


SEEN: Final = Seen()


@app.post("/mlflow", status_code=202)
async def mlflow(request: Request) -> dict[str, Any]:
    """Start the reconciling DAG for a genuine delivery.

    Raises:
        HTTPException: 401 for what is forged, late or unsigned, 413 for what is too long, 503 without a secret.
    """
    body = await _body(request)
    return await run_in_threadpool(_take, dict(request.headers), body)


async def _body(request: Request) -> bytes:
    """Read a body up to what a delivery can need: whoever sends more is not MLflow."""
    from recsys.registry.webhooks import MAX_BODY_BYTES

    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, "Too long for a delivery of MLflow's.")
    return bytes(body)


def _take(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    from starlette.datastructures import Headers

    from recsys.registry.webhooks import delivery_of, is_about_us
    from recsys.settings import load_settings

    settings = load_settings()
    secret = settings.review.webhook_secret
    if secret is None:
        raise HTTPException(503, "No secret is set: RECSYS_REVIEW__WEBHOOK_SECRET.")
    delivery = delivery_of(Headers(headers), body, secret=secret.get_secret_value(), now=time.time())
    if delivery is None:
        # One answer for all that is wrong: a forger learns nothing from it.
        raise HTTPException(401, "Not a delivery of MLflow's, or not a recent one.")
    if not is_about_us(settings, body):
        return {"started": None, "why": "Nothing that concerns the models here."}
    if not SEEN.is_new(delivery):
        return {"started": None, "why": "It came before."}
    try:
        return _start(f"{settings.namespace}_reconcile", delivery)
    except BaseException:
        SEEN.forget(delivery)
        raise


def _start(dag_id: str, delivery: str) -> dict[str, Any]:
    """Start a run, unless one that will look anyway waits to begin."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import select

    with create_session() as session:
        waiting = select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun.state == DagRunState.QUEUED).limit(1)
        queued = session.scalar(waiting)
    if queued is not None:
        return {"started": None, "why": f"{queued} is about to look."}
    run_id = f"mlflow__{delivery}"
    if not recsys_runs.start_run(dag_id, run_id=run_id, by=SENDER, note="MLflow told that an alias has changed."):
        return {"started": None, "why": "It came before."}
    LOG.info("MLflow told that an alias has changed: started %s of %s.", run_id, dag_id)
    return {"started": run_id, "why": "An alias has changed."}


class WebhookPlugin(AirflowPlugin):
    """Adds the address that MLflow tells of decisions."""

    name = "recsys_webhook"
    fastapi_apps: ClassVar = [{"app": app, "url_prefix": "/recommendations-webhook", "name": "MLflow's webhook"}]
