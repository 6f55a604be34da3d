"""Ctrl-C, SIGTERM and SIGHUP end a command in one way: it drops the shard in hand, and its exit code says so.

The first of them raises :class:`Stopped` where the command is. An exception can be lost there: C libraries
call Python back and drop what it raises, or report it as an error of their own. So it is also remembered;
progress raises it again, and the exit code does not depend on how the command ended.

Nor may it be raised anywhere: importing and logging take a lock in one step and give it back in `try` and
`finally` from the next one on. An exception between the two leaves the lock taken, and every other thread
that imports or logs waits for it forever. There it is raised a moment later, and while a module is imported,
which may drop what it raises, when that has ended.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # those that a system has
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)
_IMPORTING = "<frozen importlib._bootstrap>"
_LOGGING = (logging.__file__, ("acquire", "handle", "_acquireLock"))
_LATER_SECONDS = 0.02
_received: signal.Signals | None = None
_is_raised = False  # but while the command is at work


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end."""


@contextmanager
def stop_signals(is_whole_process: bool) -> Iterator[None]:
    """Remember, inside the block, the first signal that asks to end, of those that nobody ignores or handles.

    From :func:`raise_from_now_on` until :func:`raise_no_more` each raises Stopped as well.

    Args:
        is_whole_process: ignore these signals after the block, because the process is about to end with its
            exit code; otherwise what was set before is restored.
    """
    global _received, _is_raised
    _received, _is_raised = None, False
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
        raise_or_wait(0, frame)

    def raise_or_wait(number: int, frame: FrameType | None) -> None:
        if can_wait and _must_wait(frame):
            signal.setitimer(signal.ITIMER_REAL, _LATER_SECONDS)
        else:
            raise_if_stopped()

    def lost(unraisable: Any) -> None:
        if not issubclass(unraisable.exc_type, Stopped):
            report_lost(unraisable)
        elif can_wait:  # a destructor has dropped it: it is raised a moment later
            signal.setitimer(signal.ITIMER_REAL, _LATER_SECONDS)

    can_wait = bool(before) and _set_alarm(raise_or_wait)
    report_lost, sys.unraisablehook = sys.unraisablehook, lost
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        if sys.unraisablehook is lost:
            sys.unraisablehook = report_lost
        if can_wait:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if is_whole_process else handler)


def _set_alarm(handler: Callable[[int, FrameType | None], None]) -> bool:
    """Set what the timer of this process calls; False where there is none, or somebody else uses it."""
    if not hasattr(signal, "SIGALRM") or signal.getsignal(signal.SIGALRM) != signal.SIG_DFL:
        return False
    signal.signal(signal.SIGALRM, handler)
    return True


def _must_wait(frame: FrameType | None) -> bool:
    """Whether what is raised in a frame may leave a lock of Python's own taken, or be dropped by a module.

    A signal may come while an earlier one is handled: the exception would leave that handler, too.
    """
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    if frame is not None and frame.f_code.co_filename == _LOGGING[0] and frame.f_code.co_name in _LOGGING[1]:
        return True
    while frame is not None and frame.f_code.co_filename != _IMPORTING:
        frame = frame.f_back
    return frame is not None


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


def raise_from_now_on() -> None:
    """Let signals raise, also one that came before.

    Raises:
        Stopped: a signal has asked the command to end.
    """
    global _is_raised
    _is_raised = True
    raise_if_stopped()


def raise_no_more() -> None:
    """From now on signals are only remembered."""
    global _is_raised
    _is_raised = False
