"""Brings a shop's raw data into the warehouse and maps it to the canonical tables.

A *source* is a folder ``sql/staging/<name>/``: ``source.toml`` says which files there are and what is in
them, and one ``<canonical table>.sql`` each maps them by SELECT. :func:`init_source` writes a commented one.
"""

from recsys.load.forgetting import forget_raw
from recsys.load.loading import load_source
from recsys.load.progress import Progress, TerminalProgress
from recsys.load.report import CleaningRow, LoadReport
from recsys.load.skeleton import init_source
from recsys.load.source import Source, find_source, list_sources

__all__ = [
    "CleaningRow",
    "LoadReport",
    "Progress",
    "Source",
    "TerminalProgress",
    "find_source",
    "forget_raw",
    "init_source",
    "list_sources",
    "load_source",
]
