"""Names of tables and columns inside SQL text, where parameters can't stand."""

import re

_TABLE = re.compile(r"^([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)$")


def split_table(table: str) -> tuple[str, str]:
    """Return schema and name of ``schema.table``.

    Raises:
        ValueError: if it isn't two names of lower-case letters, digits and underscores.
    """
    match = _TABLE.match(table)
    if match is None:
        raise ValueError(f"{table!r} is not schema.table in lower-case letters, digits and underscores")
    return match.group(1), match.group(2)


def quoted(name: str) -> str:
    """Return a name quoted for SQL, as both engines have it."""
    return '"' + name.replace('"', '""') + '"'
