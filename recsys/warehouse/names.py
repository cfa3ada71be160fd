"""Names of tables and columns inside SQL text, where parameters can't stand."""

import re

# No longer than PostgreSQL's names, which it would cut; to the very end of the text, line breaks included.
_TABLE = re.compile(r"([a-z][a-z0-9_]{0,62})\.([a-z][a-z0-9_]{0,62})")


def split_table(table: str) -> tuple[str, str]:
    """Return schema and name of ``schema.table``.

    Raises:
        ValueError: if it isn't two names of lower-case letters, digits and underscores.
    """
    match = _TABLE.fullmatch(table)
    if match is None:
        raise ValueError(f"{table!r} is not schema.table in lower-case letters, digits and underscores")
    return match.group(1), match.group(2)


def quoted(name: str) -> str:
    """Return a name quoted for SQL, as both engines have it."""
    return '"' + name.replace('"', '""') + '"'
