"""Looks at everything that a run needs, and says how to mend what is wrong.

Nothing is made or changed by a look: what is not there yet is a note, not a fault.
"""

from recsys.doctor.finding import NOTE, OK, WRONG, Finding
from recsys.doctor.looking import examine

__all__ = ["NOTE", "OK", "WRONG", "Finding", "examine"]
