"""MLflow's webhook: what it signs is taken; what is forged, late or changed on the way is not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

import pytest

from recsys.registry import connected, ensure_webhook, set_alias
from recsys.registry.connection import experiment_id
from recsys.registry.webhooks import TOLERANCE_SECONDS, delivery_of, is_about_us
from recsys.settings import Settings, load_settings
from tests.support.webhooks import NOW, SECRET, delivery

Message = tuple[dict[str, str], bytes]


def taken(message: Message, *, now: float = NOW, secret: str = SECRET) -> str | None:
    headers, body = message
    return delivery_of(headers, body, secret=secret, now=now)


def test_a_known_signature() -> None:
    """Worked out by openssl: echo -n 'ID.TIMESTAMP.BODY' | openssl dgst -sha256 -hmac SECRET -binary | base64."""
    headers = {
        "X-MLflow-Delivery-Id": "d-1234567",
        "X-MLflow-Timestamp": "1700000000",
        "X-MLflow-Signature": "v1,arr+l55CVWLFe7JsjtSAggLm3YfeRM3xrNh4IB9mpT0=",
    }
    assert delivery_of(headers, b'{"a": 1}', secret="a secret of ours", now=1_700_000_000) == "d-1234567"


def test_a_genuine_delivery_is_taken() -> None:
    assert taken(delivery("11111111-aaaa")) == "11111111-aaaa"


@pytest.mark.parametrize("skew", [-TOLERANCE_SECONDS, TOLERANCE_SECONDS])
def test_clocks_may_differ_by_five_minutes_and_no_more(skew: int) -> None:
    message = delivery("11111111-aaaa")
    assert taken(message, now=NOW + skew) is not None
    assert taken(message, now=NOW + skew + (1 if skew > 0 else -1)) is None


def test_what_was_forged_or_changed_is_not_taken() -> None:
    headers, body = delivery("11111111-aaaa")
    assert taken((headers, body), secret="another secret, as long") is None
    assert taken((headers, body + b" ")) is None
    for name, value in (
        ("X-MLflow-Delivery-Id", "22222222-aaaa"),
        ("X-MLflow-Timestamp", str(int(NOW) + 1)),
        ("X-MLflow-Signature", headers["X-MLflow-Signature"].removeprefix("v1,")),
        ("X-MLflow-Signature", "v1,\u00e9"),
        ("X-MLflow-Timestamp", "soon"),
        ("X-MLflow-Delivery-Id", "../../x"),
    ):
        assert taken(({**headers, name: value}, body)) is None, name
    for name in headers:
        assert taken(({key: value for key, value in headers.items() if key != name}, body)) is None, name


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"alias": "challenger"}, True),
        ({"alias": "mine"}, False),
        ({"name": "example_model"}, False),
        ({"entity": "model_version_tag"}, False),
    ],
)
def test_only_aliases_of_the_platforms_models_concern_it(changes: dict[str, str], expected: bool) -> None:
    assert is_about_us(load_settings(), delivery("11111111-aaaa", **changes)[1]) is expected


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b'{"entity": 1, "data": 2}'])
def test_what_is_no_message_concerns_nobody(body: bytes) -> None:
    assert not is_about_us(load_settings(), body)


@contextmanager
def listener() -> Iterator[tuple[str, "Queue[Message]"]]:
    """A server that puts what it is sent into a queue."""
    received: Queue[Message] = Queue()

    class Listening(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.put((dict(self.headers), body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Listening)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/mlflow", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_real_server_tells_of_an_alias_and_signs_as_expected(served: tuple[object, str]) -> None:
    settings: Settings = load_settings(tracking_uri=served[1], namespace="hooked")
    model = settings.model_name("for_you")
    with connected(settings) as client:
        client.create_registered_model(model)
        run = client.create_run(experiment_id(client, settings)).info
        client.create_model_version(model, source=f"{run.artifact_uri}/m", run_id=run.run_id)
    with listener() as (url, received):
        made = ensure_webhook(settings, url="http://127.0.0.1:9/old", secret="an older secret, as long")
        assert ensure_webhook(settings, url=url, secret=SECRET) == made
        set_alias(settings, model, "champion", "1")
        headers, body = received.get(timeout=60)
        stamp = float(headers["X-MLflow-Timestamp"])
        assert delivery_of(headers, body, secret=SECRET, now=stamp) == headers["X-MLflow-Delivery-Id"]
        assert is_about_us(settings, body)
    with connected(settings) as client:
        assert [one.name for one in client.list_webhooks() if one.name.startswith("hooked")] == ["hooked-decisions"]
        client.delete_webhook(made)
