"""Publications: staged, audited, live, and the way back.

A publication is one set of lists for one placement. Its rows are staged out of sight, read back and audited,
and go live by one transaction that moves a pointer. Readers use the view ``recsys.live_recommendations``, or
the files that :func:`export_live` keeps for readers of an embedded warehouse.
"""

from recsys.publication.board import read_board, write_board
from recsys.publication.customer import CustomerList, ListRow, customer_list
from recsys.publication.live_files import export_live
from recsys.publication.live_lists import LivePublication, live_list, live_publications
from recsys.publication.publishing import publish
from recsys.publication.records import (
    WITHDRAWN,
    NewPublication,
    PublicationRecord,
    find_publication,
    list_publications,
    live_publication,
)
from recsys.publication.returning import rollback

__all__ = [
    "WITHDRAWN",
    "CustomerList",
    "ListRow",
    "LivePublication",
    "NewPublication",
    "PublicationRecord",
    "customer_list",
    "export_live",
    "find_publication",
    "list_publications",
    "live_list",
    "live_publication",
    "live_publications",
    "publish",
    "read_board",
    "rollback",
    "write_board",
]
