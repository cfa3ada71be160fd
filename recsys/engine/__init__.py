"""Where the pieces of a stage are computed: in this process, or on the workers of a cluster that the shop runs.

A stage cuts its work into pieces that don't need each other and hands them to :func:`run_pieces`. A piece is told URIs
and other small values, and answers with such; its data it reads and writes in the shared folder of artifacts. So a
scheduler carries kilobytes, whatever the number of customers.
"""

from recsys.engine.pieces import Piece, run_ahead, run_pieces
from recsys.engine.together import Peers, run_together

__all__ = ["Peers", "Piece", "run_ahead", "run_pieces", "run_together"]
