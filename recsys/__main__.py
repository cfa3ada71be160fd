"""``python -m recsys``: the command line."""

from recsys.cli import app

app(prog_name="recsys")
