"""Tells people what went wrong, where the settings say: Airflow's notifier for failed tasks and missed deadlines.

``RECSYS_MONITORING__NOTIFY`` lists the ways: ``log`` (the default), ``email``, ``slack`` and ``webhook``. Addresses
that are secrets are passwords of Airflow connections, and no message or log repeats them.
"""

import html
import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk import BaseHook, BaseNotifier

from recsys.errors import SettingsError
from recsys.settings import Settings, load_settings

SECONDS = 10


class Notifier(BaseNotifier):
    """Sends one text by every way of the settings; a way that fails keeps no other from being taken."""

    def __init__(self, what: str = "", context: Any = None) -> None:
        super().__init__(context=context)
        self.what = what

    def notify(self, context: Any) -> None:
        """Tell what happened.

        Raises:
            SettingsError: naming the ways that failed.
        """
        settings = load_settings()
        subject, text = told(self.what, context)
        failed = []
        for way in settings.monitoring.notify:
            try:
                WAYS[way](self, settings, subject, text)
            except Exception as error:
                # Its type alone: a message of a library may repeat the address, which is a secret.
                reason = str(error) if isinstance(error, SettingsError) else type(error).__name__
                failed.append(f"{way}: {reason}")
        if failed:
            raise SettingsError(f"Could not tell by {'; '.join(failed)}. What was to be told: {subject}")


def told(what: str, context: Mapping[str, Any]) -> tuple[str, str]:
    """Return the subject and the text of a message about a failed task or a missed deadline."""
    run = context.get("dag_run") or {}
    # A deadline's run is what the REST API tells of it.
    dag_id, run_id = _of(run, "dag_id"), _of(run, "run_id") or _of(run, "dag_run_id")
    if "deadline" in context:
        due = context["deadline"]["deadline_time"]
        return f"{dag_id} is late", f"{what}\nIt was due at {due}. Look at the run {run_id} of {dag_id} in Airflow."
    task = context.get("task_instance")
    reason = context.get("exception") or "Its log says why."
    lines = (what, str(reason), f"Run {run_id} of {dag_id} in Airflow.")
    return f"{dag_id}: {_of(task, 'task_id')} failed", "\n".join(filter(None, lines))


def _of(thing: Any, name: str) -> str:
    return str(thing.get(name, "") if isinstance(thing, Mapping) else getattr(thing, name, ""))


def _log(notifier: Notifier, settings: Settings, subject: str, text: str) -> None:
    notifier.log.warning("%s\n%s", subject, text)


def _email(notifier: Notifier, settings: Settings, subject: str, text: str) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    chosen = settings.monitoring
    message = SmtpNotifier(
        to=list(chosen.email_to),
        subject=subject,
        html_content=f"<pre>{html.escape(text)}</pre>",
        smtp_conn_id=chosen.smtp_connection,
    )
    message.notify({})


def _slack(notifier: Notifier, settings: Settings, subject: str, text: str) -> None:
    # Slack reads & < > as markup; nothing else needs escaping.
    _post(settings, {"text": html.escape(f"*{subject}*\n{text}", quote=False)})


def _webhook(notifier: Notifier, settings: Settings, subject: str, text: str) -> None:
    _post(settings, {"subject": subject, "text": text})


def _post(settings: Settings, body: dict[str, str]) -> None:
    import httpx

    name = settings.monitoring.notify_connection
    url = BaseHook.get_connection(name).password
    if not url:
        raise SettingsError(f"The Airflow connection {name} has no password: it should be the URL to post to.")
    # It would log the URL of every request.
    for noisy in ("httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    answer = httpx.post(url, json=body, timeout=SECONDS)
    if not answer.is_success:
        raise SettingsError(f"the address of the Airflow connection {name} answered {answer.status_code}")


WAYS: dict[str, Callable[[Notifier, Settings, str, str], None]] = {
    "log": _log,
    "email": _email,
    "slack": _slack,
    "webhook": _webhook,
}
