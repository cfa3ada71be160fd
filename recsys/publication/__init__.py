"""Publications: staged, audited, live, and the way back.

A publication is one set of lists for one placement. Its rows are staged out of sight, read back and audited,
and go live by one transaction that moves a pointer. Readers use the view ``recsys.live_recommendations``, or
the files that :func:`export_live` keeps for readers of an embedded warehouse.
"""

from recsys.publication.archiving import archive
from recsys.publication.bases import base_rows
from recsys.publication.board import read_board, read_hidden, write_board
from recsys.publication.canary import refresh_canary, require_place, start_canary
from recsys.publication.canary_moves import promote_canary, widen_canary, withdraw_canary
from recsys.publication.canary_records import Canary, find_canary, list_canaries, require_running, running_canary
from recsys.publication.consent import ConsentChange, list_consent_changes, set_consent
from recsys.publication.customer import CustomerList, ListRow, customer_list, resolved
from recsys.publication.live_files import export_live
from recsys.publication.live_lists import LivePublication, live_list, live_names, live_publications
from recsys.publication.publishing import publish
from recsys.publication.records import (
    LIVE,
    MAIN,
    WITHDRAWN,
    NewPublication,
    PublicationRecord,
    find_publication,
    list_publications,
    live_publication,
    read_pointer,
)
from recsys.publication.returning import rollback
from recsys.publication.suppressing import (
    Rule,
    Suppression,
    find_suppression,
    list_suppressions,
    suppress,
    unsuppress,
)

__all__ = [
    "LIVE",
    "MAIN",
    "WITHDRAWN",
    "Canary",
    "ConsentChange",
    "CustomerList",
    "ListRow",
    "LivePublication",
    "NewPublication",
    "PublicationRecord",
    "Rule",
    "Suppression",
    "archive",
    "base_rows",
    "customer_list",
    "export_live",
    "find_canary",
    "find_publication",
    "find_suppression",
    "list_canaries",
    "list_consent_changes",
    "list_publications",
    "list_suppressions",
    "live_list",
    "live_names",
    "live_publication",
    "live_publications",
    "promote_canary",
    "publish",
    "read_board",
    "read_hidden",
    "read_pointer",
    "refresh_canary",
    "require_place",
    "require_running",
    "resolved",
    "rollback",
    "running_canary",
    "set_consent",
    "start_canary",
    "suppress",
    "unsuppress",
    "widen_canary",
    "withdraw_canary",
    "write_board",
]
