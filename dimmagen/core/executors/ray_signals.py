"""The handlers of signals that ask a process to end, kept while Ray is connected and left."""

import ctypes
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import Event, Thread
from typing import Any

_SIGNAL_SECONDS = 0.005  # how long Ray may have a signal while it connects
_CONNECT_SECONDS = 30.0  # maximum time to connect after a signal has asked to end
_NAMES = ("SIGTERM", "SIGBREAK")  # those that Ray takes
# RayLog::is_failure_signal_handler_installed_
_IS_INSTALLED = "_ZN3ray6RayLog36is_failure_signal_handler_installed_E"

Handlers = dict[int, Any]
_starts_sessions: set[int] = set()  # identifiers of the threads whose child processes leave the process group


def handlers() -> Handlers:
    """What was set from Python for the signals that Ray takes; empty outside the main thread."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread can set them
        return {}
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return {number: signal.getsignal(number) for number in numbers}


def restore_handlers(before: Handlers) -> None:
    """Set handlers again."""
    for number, handler in before.items():
        with suppress(TypeError):  # it was not set from Python
            signal.signal(number, handler)


def connect_with(before: Handlers, connect: Callable[[], None], ended: Event) -> None:
    """Call a function that connects Ray, and keep the handlers of the signals that ask a process to end.

    Ray takes SIGTERM in Python, and below it with a handler that prints a trace and aborts. So it connects in
    another thread, in which Python sets no handlers; its library believes that it has its own already; and
    where that is not possible, this thread sets those of before until it is done, as often as it gets to run.
    The processes of a Ray that is started end with the thread that started it, which waits until `ended`.

    Args:
        before: of :func:`handlers`.
        connect: raises where Ray cannot be connected.
        ended: set when Ray has been left.
    """
    if not before:
        connect()
        return
    failures: list[BaseException] = []
    is_done = Event()

    def attempt() -> None:
        try:
            connect()
        except BaseException as error:
            failures.append(error)
        is_done.set()
        ended.wait()

    flag = _installed_flag()
    flag.value = True
    Thread(target=attempt, daemon=True).start()
    try:
        while not is_done.is_set():
            is_done.wait(_SIGNAL_SECONDS)
            restore_handlers(before)
    finally:  # a signal: what is half connected cannot be left
        is_done.wait(_CONNECT_SECONDS)
        flag.value = False  # otherwise Ray would set the default of the system when it is left
    if failures:
        raise failures[0]


@contextmanager
def separate_sessions() -> Iterator[None]:
    """Let the processes that Ray starts in this thread begin sessions of their own.

    A terminal or a batch system that ends a command sends its signal to the whole process group. Ray's
    processes would end before the run has left them, and Ray's library would then end this process itself.
    They still end with it: the kernel kills them. Only Linux does, so elsewhere they stay in the group.
    """
    if sys.platform != "linux":
        yield
        return
    _watch_forks()
    thread = threading.get_ident()
    _starts_sessions.add(thread)
    try:
        yield
    finally:
        _starts_sessions.discard(thread)


@cache
def _watch_forks() -> None:
    """Python calls it in each child that is to run Python code before its program, as those of Ray do."""
    os.register_at_fork(after_in_child=_begin_session)


def _begin_session() -> None:
    if threading.get_ident() in _starts_sessions:
        os.setsid()


def _installed_flag() -> ctypes.c_bool:
    """By which Ray's library knows that it has set its handlers; one of ours if this Ray shows none."""
    try:
        raylet: Any = importlib.import_module("ray._raylet")
        return ctypes.c_bool.in_dll(ctypes.CDLL(raylet.__file__), _IS_INSTALLED)
    except (ImportError, AttributeError, OSError, ValueError):
        return ctypes.c_bool()
