"""Leave-one-out over any interaction file: the last item of each customer is asked for, among all items.

``interactions`` reads the file, ``holding`` says what is known, ``tuning``, ``weighing`` and ``choosing`` choose on the
next-to-last item, ``measuring`` opens the last one, ``protocol`` is the whole.
"""

from recsys.leave_one_out.measuring import records
from recsys.leave_one_out.protocol import Outcome, Progress, evaluate_interactions

__all__ = ["Outcome", "Progress", "evaluate_interactions", "records"]
