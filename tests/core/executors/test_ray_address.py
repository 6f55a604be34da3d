"""What does not answer as a Ray cluster is told at once, and without Ray's own lines."""

import os
import socket
import sys
import threading
from types import SimpleNamespace

import pytest

from dimmagen.core.errors import UsageError
from dimmagen.core.executors import ray_address
from dimmagen.core.executors.ray_address import check_answers

SETTINGS = bytes([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 64, 0, 0])  # as a server of HTTP/2 begins
RESPONSE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"


@pytest.fixture
def serve(monkeypatch):
    """Start a server that answers each connection with some bytes; returns its address."""
    monkeypatch.delenv("RAY_USE_TLS", raising=False)
    servers = []

    def start(answer):
        # No time is too short for one that is silent; another one may have to wait for its processor.
        monkeypatch.setattr(ray_address, "_ANSWER_SECONDS", 0.1 if answer is None else 60)
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)
        threading.Thread(target=answer_all, args=(server, answer), daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server in servers:
        server.close()


def answer_all(server, answer):
    kept = []  # so that a silent one stays connected
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        if answer is not None:
            with connection:
                connection.sendall(answer)
                connection.recv(64)
        kept.append(connection)


class Refused(Exception):
    pass


@pytest.fixture
def ray(monkeypatch):
    """A Ray that refuses tokens, and prints that on its own way."""

    def refuse(address):
        os.write(2, f"W gcs_client.cc: {address}: InvalidAuthToken\n".encode())
        raise Refused

    modules = {
        "_private.services": SimpleNamespace(canonicalize_bootstrap_address=lambda address: address),
        "_raylet": SimpleNamespace(GcsClient=refuse),
        "exceptions": SimpleNamespace(AuthenticationError=Refused),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"ray.{name}", module)
    return modules["_raylet"]


@pytest.mark.parametrize("scheme", ["", "ray://"])
@pytest.mark.parametrize("answer", [None, b"", RESPONSE], ids=["silent", "closes", "a web server"])
def test_what_answers_and_is_no_ray_is_refused_at_once(answer, scheme, serve):
    address = scheme + serve(answer)
    with pytest.raises(UsageError, match=f"what answers at {address} is not a Ray cluster.*port of its head"):
        check_answers(address)


@pytest.mark.parametrize(
    ("mode", "told"),
    [("token", "it refuses the token"), ("disabled", "wants a token; RAY_AUTH_MODE is dis")],
)
def test_a_refused_token_is_one_error_without_the_lines_of_ray(mode, told, serve, ray, monkeypatch, capfd):
    monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with pytest.raises(UsageError, match=told):
        check_answers(serve(SETTINGS))
    os.write(2, b"what is printed later\n")
    assert capfd.readouterr().err == "what is printed later\n"


def test_a_cluster_that_answers_is_left_to_ray(serve, ray, monkeypatch):
    check_answers("ray://" + serve(SETTINGS))
    monkeypatch.setattr(ray, "GcsClient", lambda address: None)
    check_answers(serve(SETTINGS))
    monkeypatch.setenv("RAY_USE_TLS", "1")
    check_answers(serve(None))
