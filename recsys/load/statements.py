"""SQL that every load runs, from ``sql/staging/_load/``."""

from recsys.assets import read_sql


def statement(file: str, /, **names: str) -> str:
    """Return a statement with its ``{names}`` filled in.

    Args:
        file: the file below ``sql/staging/_load/``, without its ending.
        names: checked or quoted identifiers and SELECTs; never values of the data.
    """
    return read_sql("staging", "_load", f"{file}.sql").format(**names).strip().removesuffix(";")
