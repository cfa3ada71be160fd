"""Ends the stack's processes when the program that started them is gone, however it went.

A program that is killed can't clean up after itself. This small process waits at the other end of a
pipe: it reads one session id a line as parts start, and reads the end of the file when its parent is gone.
"""

import signal
import sys

from recsys.stack.processes import end_sessions


def main() -> None:
    """Read session ids until the parent is gone, then end what is left of them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with its parent, not before
    end_sessions([int(line) for line in sys.stdin])


if __name__ == "__main__":
    main()
