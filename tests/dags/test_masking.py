"""Airflow's own masking knows the secrets of a task's settings, wherever they came from."""

import sys

import pytest

from recsys.assets import assets_root

URL = "postgresql://ada:ware%2FHush1@127.0.0.1:9/shop?sslpassword=optIon-Hush4"
SECRETS = ("ware/Hush1", "ware%2FHush1", "optIon-Hush4", "trAck-Hush2", "hook-hush-3-sixteen-letters")


@pytest.mark.parametrize("source", ["variable", "connection"])
def test_what_a_task_prints_of_them_is_stars(monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    from airflow.sdk.log import _secrets_masker

    monkeypatch.setattr(sys, "path", [str(assets_root() / "dags"), *sys.path])
    import recsys_wiring

    _secrets_masker().reset_masker()
    monkeypatch.delenv("RECSYS_WAREHOUSE_URL", raising=False)
    name = "RECSYS_WAREHOUSE_URL" if source == "variable" else "AIRFLOW_CONN_RECSYS_WAREHOUSE"
    monkeypatch.setenv(name, URL)
    monkeypatch.setenv("RECSYS_TRACKING_URI", "http://ada:trAck-Hush2@127.0.0.1:9")
    monkeypatch.setenv("RECSYS_REVIEW__WEBHOOK_SECRET", "hook-hush-3-sixteen-letters")
    settings = recsys_wiring.task_settings()
    assert "Hush1" in str(settings.warehouse_url)
    for secret in settings.secrets:
        assert _secrets_masker().redact(f"can't reach {secret}!") == "can't reach ***!"
    assert set(SECRETS) <= {*settings.secrets}
