"""Monitoring: what is measured between decisions, how it is judged, and where it is kept.

Every figure is a :class:`Measurement`. A batch of them goes to the append-only table ``recsys.measurements``, the
newest batch also to a file (:func:`latest_figures`) for pages and scrapers, which must not open the warehouse.
"""

from recsys.monitoring.prometheus import prometheus_text
from recsys.monitoring.records import BREACH, OK, RANKED, WARN, Measurement, Stamped, breaches_of
from recsys.monitoring.storing import batch_of, latest_figures, measured, newest_batch, record, write_latest

__all__ = [
    "BREACH",
    "OK",
    "RANKED",
    "WARN",
    "Measurement",
    "Stamped",
    "batch_of",
    "breaches_of",
    "latest_figures",
    "measured",
    "newest_batch",
    "prometheus_text",
    "record",
    "write_latest",
]
