"""A local S3 server that counts its requests and can be made to fail."""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Answer = Callable[[dict, Callable], Iterable[bytes]]


@dataclass(frozen=True)
class Request:
    """One request: method, `/bucket/key`, and the names in its query."""

    method: str
    path: str
    query: frozenset[str]

    @property
    def operation(self) -> str:
        """The name of the S3 operation."""
        if self.method == "PUT":
            return "UploadPart" if "partNumber" in self.query else "PutObject"
        if self.method == "POST":
            return "CreateMultipartUpload" if "uploads" in self.query else "CompleteMultipartUpload"
        if self.method == "DELETE":
            return "AbortMultipartUpload" if "uploadId" in self.query else "DeleteObject"
        if self.method == "HEAD":
            return "HeadObject"
        if "uploads" in self.query:
            return "ListMultipartUploads"
        return "ListObjects" if "list-type" in self.query else "GetObject"


@dataclass
class Fault:
    """The response to the next `times` requests for one operation on keys that contain `key`."""

    answer: Answer
    operation: str
    key: str = ""
    times: int = 1
    met: int = 0


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        pass


@dataclass
class S3Server:
    """moto behind a WSGI layer; `with S3Server() as server` makes it listen at `server.url`."""

    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    buckets: int = 0

    def __enter__(self) -> "S3Server":
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._respond, threaded=True, request_handler=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()

    def fail(self, answer: Answer, operation: str, key: str = "", times: int = 1) -> Fault:
        fault = Fault(answer, operation, key, times)
        self.faults.append(fault)
        return fault

    def counts(self) -> dict[str, int]:
        """Requests since the last call, by operation."""
        with self._lock:
            operations = [request.operation for request in self.requests]
            self.requests.clear()
        return {name: operations.count(name) for name in sorted(set(operations))}

    def _respond(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        query = frozenset(parse_qs(environ["QUERY_STRING"], keep_blank_values=True))
        request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], query)
        with self._lock:
            self.requests.append(request)
            fault = next((one for one in self.faults if self._meets(one, request)), None)
            if fault:
                fault.met += 1
        if fault:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return fault.answer(environ, start_response)
        return self._moto(environ, start_response)

    def _meets(self, fault: Fault, request: Request) -> bool:
        return fault.met < fault.times and fault.operation == request.operation and fault.key in request.path

    def half(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """The headers of the complete response and half of its body; then the connection is closed."""
        body = b"".join(self._moto(environ, start_response))
        return [body[: len(body) // 2]]

    def cut(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """Half of the body, as a proxy sends it that takes it for all: with a length that fits."""
        started: list = []
        body = b"".join(self._moto(environ, lambda *arguments: started.extend(arguments)))
        half = body[: len(body) // 2]
        headers = [one for one in started[1] if one[0].lower() != "content-length"]
        start_response(started[0], [*headers, ("Content-Length", str(len(half)))])
        return [half]

    def whole(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        """The whole object, whatever range is asked for."""
        return self._moto({**environ, "HTTP_RANGE": ""}, start_response)


def error(status: str, code: str) -> Answer:
    """An error response of S3, such as `error("503 Slow Down", "SlowDown")`."""

    def answer(environ: dict, start_response: Callable) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "application/xml")])
        if environ["REQUEST_METHOD"] == "HEAD":
            return []
        return [f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()]

    return answer


def page(environ: dict, start_response: Callable) -> Iterable[bytes]:
    """A web page, as a proxy answers that wants a login."""
    text = b"<html><body>Please log in</body></html>"
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(text)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [text]


def reset(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    """No response: the connection is closed."""
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError


def hang(seconds: float) -> Answer:
    """A late response."""

    def answer(environ: dict, start_response: Callable) -> Iterable[bytes]:
        time.sleep(seconds)
        return error("503 Slow Down", "SlowDown")(environ, start_response)

    return answer


class Bucket:
    """A bucket of the server, accessed without dimmagen, with the client of Amazon."""

    def __init__(self, server: S3Server, name: str) -> None:
        import boto3

        self.server = server
        self.name = name
        self.url = f"s3://{name}"
        self.client = boto3.client("s3")
        self.client.create_bucket(Bucket=name)
        server.counts()

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    def uploads(self) -> list[str]:
        """Keys of uploads that were started and neither completed nor aborted."""
        found = self.client.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return [upload["Key"] for upload in found]

    def begin_upload(self, key: str) -> None:
        """Leave an incomplete upload, as a process that is killed between two parts."""
        begun = self.client.create_multipart_upload(Bucket=self.name, Key=key)
        self.client.upload_part(
            Bucket=self.name, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"part"
        )

    def upload(self, folder: Path, key: str) -> str:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{key}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.url}/{key}"

    def download(self, key: str, to: Path) -> Path:
        for one in self.keys(f"{key}/"):
            path = to / one.removeprefix(f"{key}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.client.get_object(Bucket=self.name, Key=one)["Body"].read())
        return to
