"""Whether a Ray cluster answers at an address, and the reason why one cannot be joined."""

import importlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from dimmagen.core.errors import UsageError

_ANSWER_SECONDS = 5
# How a client of HTTP/2 begins (RFC 9113, section 3.4), which all servers of Ray speak: with settings.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_KIND_AT, _SETTINGS, _HEADER_BYTES = 3, 4, 9
_WRONG_TOKEN = "no token, or another one"


def check_answers(address: str) -> None:
    """Fail early: Ray itself would try for minutes, and print a line each time.

    Other address forms than `host:port` and `ray://host:port` are left to Ray.

    Raises:
        UsageError: nothing answers, something else than a Ray cluster does, or it wants another token.
    """
    host, separator, port = address.removeprefix("ray://").rpartition(":")
    if address == "auto":
        _check_token(address)
    if not (separator and port.isdigit()):
        return
    try:
        is_ray = _answers_as_ray(host, int(port))
    except (OSError, OverflowError) as error:
        raise _no_answer(
            f"no Ray cluster answers at {address} ({error})", "check `address`", address
        ) from error
    if not is_ray:
        raise _no_answer(
            f"what answers at {address} is not a Ray cluster",
            "give the port of its head, which is 6379 unless it was started with another one",
            address,
        )
    if not address.startswith("ray://"):
        _check_token(address)


def _answers_as_ray(host: str, port: int) -> bool:
    """Whether there is a server of HTTP/2. Raises OSError if there is nothing."""
    with socket.create_connection((host, port), timeout=_ANSWER_SECONDS) as connection:
        if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
            return True  # it speaks after a handshake
        answer = b""
        with suppress(OSError):
            connection.sendall(_GREETING)
            while len(answer) < _HEADER_BYTES and (more := connection.recv(_HEADER_BYTES - len(answer))):
                answer += more
    return len(answer) == _HEADER_BYTES and answer[_KIND_AT] == _SETTINGS


def _check_token(address: str) -> None:
    """Ask once: Ray asks twenty times, and does not say why it gives up. There is no public call for it."""
    with suppress(ImportError, AttributeError):
        services: Any = importlib.import_module("ray._private.services")
        client: Any = importlib.import_module("ray._raylet").GcsClient
        refused: Any = importlib.import_module("ray.exceptions").AuthenticationError
        try:
            place = services.canonicalize_bootstrap_address(address)
            host, _, port = place.rpartition(":")
            if _answers_as_ray(host, int(port)):  # the file that `auto` reads may be old
                with _no_output_of_libraries():
                    client(address=place)
        except refused as error:
            raise refusal_of_cluster(address, _WRONG_TOKEN) from error
        except Exception:  # what else is wrong, Ray says when it joins
            return


@contextmanager
def _no_output_of_libraries() -> Iterator[None]:
    """Leave out what libraries that are not Python print to standard error in the block."""
    stream = sys.__stderr__
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        if stream is not None:
            stream.flush()
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def refusal_of_cluster(address: str, reason: str) -> UsageError:
    """What is wrong with a cluster that answers but cannot be joined, from Ray's own words for it."""
    mode = os.environ.get("RAY_AUTH_MODE", "not set")
    fault = f"{reason}; RAY_AUTH_MODE is {mode}"
    todo = (
        "if the cluster wants a token, set RAY_AUTH_MODE=token and give that token in ~/.ray/auth_token "
        "or RAY_AUTH_TOKEN; otherwise check that this machine reaches all ports of the cluster"
    )
    if "ersion mismatch" in reason:
        fault = reason
        todo = "install the cluster's versions of Ray and Python here, or run on one of its nodes"
    elif "no authentication token was found" in reason:
        fault = "RAY_AUTH_MODE is token, and there is no token"
        todo = "give the cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN"
    elif reason == _WRONG_TOKEN:
        fault = "it refuses the token" if mode == "token" else f"it wants a token; RAY_AUTH_MODE is {mode}"
        todo = "set RAY_AUTH_MODE=token and give the cluster's token in ~/.ray/auth_token or RAY_AUTH_TOKEN"
    elif "any running Ray instance" in reason:
        fault = "none runs on this machine"
        todo = "give the host and the port of its head, such as head:6379"
    elif "Invalid address" in reason:
        fault = "it is not an address"
        todo = "give the host and the port of its head, such as head:6379"
    return _no_answer(f"the Ray cluster at {address} could not be joined ({fault})", todo, address)


def _no_answer(what: str, todo: str, address: str) -> UsageError:
    return UsageError(what, todo, code="cluster", parameter="address", value=address)
