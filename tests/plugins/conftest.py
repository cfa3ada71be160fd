"""Airflow reads its settings at import: a home of its own, so that nothing lands in the user's."""

import tests.support.airflow_home  # noqa: F401
