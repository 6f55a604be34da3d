"""Ctrl-C, SIGTERM and SIGHUP end a command in one way: the shard in hand is dropped, and the exit code tells.

The first of them raises :class:`Stopped` where the command is. An exception can be lost there: C libraries
call Python back and drop what it raises, or report it as an error of their own. So it is also remembered;
progress raises it again, and the exit code does not depend on how the command ended.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # those that a system has
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)
_received: signal.Signals | None = None
_is_raised = True  # until the command has ended and only its exit code is left


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end."""


@contextmanager
def stop_signals(is_whole_process: bool) -> Iterator[None]:
    """Raise Stopped inside the block for each signal that asks to end and that is not ignored or handled.

    Args:
        is_whole_process: ignore these signals after the block, because the process is about to end with its
            exit code; otherwise what was set before is restored.
    """
    global _received, _is_raised
    _received, _is_raised = None, True
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():  # only it can set handlers
        asking = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in asking}
        before = {number: handler for number, handler in before.items() if handler in _DEFAULTS}
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        global _received
        if os.getpid() != owner:  # a process that was forked from this one, such as a reader of torch's
            signal.signal(number, before[signal.Signals(number)])
            os.kill(os.getpid(), number)
            return
        _received = _received or signal.Signals(number)
        raise_if_stopped()

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if is_whole_process else handler)


def received() -> signal.Signals | None:
    """The first signal that asked the command to end, if any did."""
    return _received


def raise_if_stopped() -> None:
    """Raise the exception of a signal again, in case it was lost.

    Raises:
        Stopped: a signal has asked the command to end.
    """
    if _received is not None and _is_raised:
        raise Stopped


def raise_no_more() -> None:
    """From now on signals are only remembered."""
    global _is_raised
    _is_raised = False
