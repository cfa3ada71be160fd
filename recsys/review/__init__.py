"""The review page: what is live, what waits for a decision with its evidence, and what was decided.

Everything is read from files below RECSYS_HOME: the board, the sheets, the evaluations, the live lists and the newest
measurements. Nothing here opens the warehouse or asks MLflow, and nothing is written.
"""

from recsys.review.customers import alias, customer
from recsys.review.evidence import report_file, review
from recsys.review.history import history, outcome
from recsys.review.overview import overview
from recsys.review.rendering import asset, render

__all__ = ["alias", "asset", "customer", "history", "outcome", "overview", "render", "report_file", "review"]
