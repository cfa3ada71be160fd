"""Says in a person's words why a part of the stack ended."""

import signal

from recsys.errors import StackError

_DISK_FULL = "The disk is full: make room, or set RECSYS_HOME to a folder on another disk."
_PORT_TAKEN = "Another program took its port: end it, or set RECSYS_AIRFLOW_PORT or RECSYS_MLFLOW_PORT."
_KNOWN = {
    "no space left on device": _DISK_FULL,
    "database or disk is full": _DISK_FULL,
    "address already in use": _PORT_TAKEN,
    "memoryerror": "The machine has too little memory free.",
}


def part_ended(name: str, code: int, log_tail: str) -> StackError:
    """Return the error for a part that ended by itself.

    Args:
        name: the part.
        code: its return code, negative when a signal ended it.
        log_tail: the last lines of its log.
    """
    how = f"ended with code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"
    known = [advice for words, advice in _KNOWN.items() if words in log_tail.lower()]
    if not known and code == -signal.SIGKILL:
        known = ["Somebody killed it, or the machine ran out of memory; `recsys up` starts everything again."]
    advice = known[0] if known else "`recsys up` starts everything again."
    log = f"\nThe last lines of its log:\n{log_tail}" if log_tail.strip() else ""
    return StackError(f"The local stack's {name} {how}. {advice}{log}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
