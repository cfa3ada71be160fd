"""The code of a registered recommender: MLflow runs this file to load a version.

The library travels with the model (``code/recsys``), and so do its plain files (``artifacts/bundle``):
nothing is unpickled, and nothing has to be installed but the pinned requirements.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext

import mlflow

COLUMNS = ["subject_id", "item_id", "rank", "score", "source", "reason"]


class Recommender(PythonModel):
    """Lists for subjects, with the history that the caller gives."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the bundle."""
        from recsys.scoring import load_recommender

        self._recommender = load_recommender(Path(context.artifacts["bundle"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Return one row per recommended item, best first, for one input row per subject.

        Input: ``subject_id``, ``placement``, ``k`` (length of the list) and ``events`` (a JSON list of
        ``item_id``, ``event_type``, ``occurred_at``, ``quantity``, ``value``; or a snapshot's URI).
        Output: ``subject_id``, ``item_id``, ``rank`` from 1, ``score``, ``source``, ``reason``.
        """
        rows = model_input.to_dict("records")
        return pd.DataFrame(self._recommender.recommend(rows), columns=COLUMNS)


mlflow.models.set_model(Recommender())
