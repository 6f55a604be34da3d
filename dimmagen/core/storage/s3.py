"""S3 for :mod:`dimmagen.core.storage`: retries, translated errors, and the cleanup of interrupted uploads.

Requests go through s3fs. botocore repeats them in its standard mode, with exponential backoff and jitter,
after 500, 502, 503, 504, throttling, and connections that fail or time out. It does not see the body of a
response, so an incomplete response is requested again here; one that is not S3's, such as a proxy's page, or
not of the range that was asked for, is made one of 500. Nothing is cached between two calls: changes by other
processes are visible immediately.
"""

import errno
import functools
import io
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from dimmagen.core.errors import DimmagenError, RefusedError, UnavailableError, UsageError
from dimmagen.core.optional_packages import missing_package
from dimmagen.core.storage.range_reader import RangeReader, tell_of_whole_files
from dimmagen.core.storage.s3_answers import mark_failed

SCHEMES = ("s3://", "s3a://")
ATTEMPTS = 8  # per request, in 35 seconds on average and at most 71; AWS_MAX_ATTEMPTS overrides it
_MAX_ATTEMPTS = 1000
_MAX_WAIT = 20  # seconds
_TIMEOUT = 60  # seconds, botocore's default; the 15 seconds of s3fs are too short for a slow connection
_SILENCES = 3  # requests that time out before one is given up, unless AWS_MAX_ATTEMPTS says more or less
_TELL_AGAIN = 30  # seconds: several requests wait at a time
_BLOCK = 8 * 2**20  # bytes that one request of an open file reads
_PART = 16 * 2**20  # bytes per part of a multipart upload; a file smaller than two parts is one request
_PARTS_AT_ONCE = 4
_MAX_PARTS = 10_000
_LISTING = ("isdir", "ls", "find")
_NO_KEY = ("", "404", "NoSuchKey", "NoSuchUpload")

_LOG = logging.getLogger(__name__)
_last_told = float("-inf")  # by time.monotonic()
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def attempts() -> int:
    """Maximum number of attempts per request.

    Raises:
        UsageError: AWS_MAX_ATTEMPTS is not such a number.
    """
    text = os.environ.get("AWS_MAX_ATTEMPTS") or str(ATTEMPTS)
    if not (text.isdecimal() and 1 <= int(text) <= _MAX_ATTEMPTS):
        raise UsageError(
            f"AWS_MAX_ATTEMPTS is {text!r}",
            f"set it to a number from 1 to {_MAX_ATTEMPTS}, or unset it",
            code="out-of-range",
            parameter="AWS_MAX_ATTEMPTS",
            value=text,
        )
    return int(text)


def _silences() -> int:
    """After how many timeouts a request is given up: each costs a minute."""
    return attempts() if os.environ.get("AWS_MAX_ATTEMPTS") else _SILENCES


def _after_attempt(
    response: tuple[Any, dict[str, Any]] | None,
    operation: Any,
    attempts: int,
    caught_exception: Exception | None,
    request_dict: dict[str, Any],
    **_: Any,
) -> None:
    """Called by botocore after each attempt, before it decides on another one."""
    if caught_exception is None:  # there was an answer
        if response:
            mark_failed(*response, operation.name, request_dict["headers"])
        return
    from botocore.exceptions import ReadTimeoutError

    if isinstance(caught_exception, ReadTimeoutError):
        context = request_dict["context"]
        context[__name__] = context.get(__name__, 0) + 1
        if context[__name__] >= _silences():
            raise caught_exception
    _tell_of_waiting(request_dict["url"], caught_exception, attempts)


def _tell_of_waiting(url: str, error: Exception, attempt: int) -> None:
    global _last_told
    if (now := time.monotonic()) - _last_told > _TELL_AGAIN:
        _last_told = now
        reason = " ".join(str(error).split()) or type(error).__name__
        _LOG.warning("%s: no answer in attempt %d (%s); trying again", url, attempt, reason)


def _translate_errors(method: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Translate errors of s3fs, botocore and aiohttp in a method of :class:`S3` to those of this project."""

    @functools.wraps(method)
    def translated(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except DimmagenError:
            raise
        except Exception as error:  # there are many types, and only some are OSErrors
            place = str(args[2] if method.__name__ == "put_file" else args[1])
            explained = _explained(error, f"s3://{place}")
            if explained is error and method.__name__ in _LISTING:  # which S3 never says of a key
                explained = RefusedError(
                    f"s3://{place} cannot be listed: what answers is not an S3 server",
                    "check AWS_ENDPOINT_URL",
                )
            if explained is error:
                raise
            raise explained from error

    return translated


class S3:
    """The methods that storage calls (see also :class:`.FsspecFiles`); a place is `bucket` or `bucket/key`.

    Methods raise FileNotFoundError if the object does not exist, RefusedError if credentials, permissions or
    the bucket are missing, and UnavailableError if the last attempt of a request has failed.

    Raises:
        UsageError: s3fs is not installed.
    """

    shows_unfinished = False  # an object appears when it is whole

    def __init__(self) -> None:
        try:
            import s3fs
        except Exception as error:
            raise missing_package("s3:// URLs need", "s3fs", "s3", error) from None
        retries: dict[str, Any] = {"mode": "standard", "total_max_attempts": attempts()}
        # s3fs caches its instances by these arguments, per process.
        self._files = s3fs.S3FileSystem(
            use_listings_cache=False,
            max_concurrency=1,
            config_kwargs={"retries": retries, "read_timeout": _TIMEOUT},
        )
        self._files.retries = 1  # the attempts of botocore suffice: these would multiply them

    @property
    def _filesystem(self) -> Any:
        """The file system of s3fs, whose client is made when it is first used."""
        events = self._files.s3.meta.events
        events.register_first("needs-retry.s3", _after_attempt, unique_id=__name__)
        return self._files

    def forget(self) -> None:
        """Nothing is remembered."""

    @_translate_errors
    def isfile(self, place: str) -> bool:
        return "/" in place and self._size(place) is not None

    @_translate_errors
    def isdir(self, place: str) -> bool:
        """Whether any object exists below a key; an existing bucket is a folder."""
        bucket, prefix = _split_folder(place)
        page = self._call("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        return not prefix or page.get("KeyCount", 0) > 0

    def exists(self, place: str) -> bool:
        return self.isfile(place) or self.isdir(place)

    @_translate_errors
    def ls(self, place: str) -> list[str]:
        """Places of the files and folders directly below a folder."""
        bucket, prefix = _split_folder(place)
        keys: list[str] = []
        for page in self._pages("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter="/"):
            keys += [common["Prefix"].rstrip("/") for common in page.get("CommonPrefixes", [])]
            keys += [entry["Key"] for entry in page.get("Contents", [])]
        return [f"{bucket}/{key}" for key in keys if not key.endswith("/")]  # placeholders of consoles

    @_translate_errors
    def find(self, place: str) -> dict[str, tuple[int, str]]:
        """Places of all files below a folder, with size and ETag."""
        bucket, prefix = _split_folder(place)
        pages = self._pages("list_objects_v2", Bucket=bucket, Prefix=prefix)
        entries = (entry for page in pages for entry in page.get("Contents", []))
        return {
            f"{bucket}/{entry['Key']}": (entry["Size"], entry.get("ETag", ""))
            for entry in entries
            if not entry["Key"].endswith("/")
        }

    @_translate_errors
    def size(self, place: str) -> int:
        if (size := self._size(place)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"s3://{place}")
        return size

    @_translate_errors
    def etag(self, place: str) -> str:
        """What the store says that changes with the bytes of an object; empty if it says nothing."""
        bucket, key = place.split("/", 1)
        return self._call("head_object", Bucket=bucket, Key=key).get("ETag", "")

    @_translate_errors
    def cat_file(self, place: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of an object, or its range [`start`, `end`), cut at the end of the object."""
        if start is not None and start == end:
            return b""
        silences = 0
        for attempt in range(1, attempts() + 1):
            try:
                return self._read(place, start, end)
            except Exception as error:
                if start is not None and _code(error) in ("416", "InvalidRange"):
                    return b""
                if attempt == attempts() or not isinstance(error, _incomplete_response_errors()):
                    raise
                silences += isinstance(error, TimeoutError)
                if silences == _silences():
                    raise
                _tell_of_waiting(f"s3://{place}", error, attempt)
                time.sleep(random.random() * min(2 ** (attempt - 1), _MAX_WAIT))
        raise AssertionError("the last attempt returns or raises")

    def _read(self, place: str, start: int | None, end: int | None) -> bytes:
        """:meth:`cat_file` in one attempt."""
        from fsspec.asyn import sync

        filesystem = self._filesystem
        bucket, key = place.split("/", 1)
        asked = {} if start is None else {"Range": f"bytes={start}-{cast(int, end) - 1}"}

        async def read() -> tuple[bool, bytes]:
            found = await filesystem._call_s3("get_object", Bucket=bucket, Key=key, **asked)
            try:
                return bool(asked) and "ContentRange" not in found, await found["Body"].read()
            finally:
                found["Body"].close()

        is_whole, data = sync(filesystem.loop, read)
        if not is_whole:
            return data
        tell_of_whole_files(f"s3://{bucket}")
        return data[start:end]

    def open(self, place: str) -> BinaryIO:
        """An object for reading at random positions, a few MiB per request."""
        return cast(
            BinaryIO,
            io.BufferedReader(RangeReader(self.size(place), functools.partial(self.cat_file, place)), _BLOCK),
        )

    @_translate_errors
    def put_file(self, file: str, place: str, unfinished: str = "") -> None:
        """Upload a local file: its object appears once the upload is complete, so no other name is needed.

        A larger file is uploaded in parts; if one fails finally, all are discarded (s3fs aborts the upload).
        """
        part = max(_PART, os.path.getsize(file) // _MAX_PARTS + 1)
        self._filesystem.put_file(file, place, chunksize=part, max_concurrency=_PARTS_AT_ONCE)

    @_translate_errors
    def rm_file(self, place: str) -> None:
        """Remove an object; does nothing if it does not exist. There are no empty folders."""
        self._filesystem.rm_file(place)

    @_translate_errors
    def abort_uploads(self, place: str) -> list[str]:
        """Discard the parts of uploads to a folder that were started and never completed.

        They are not objects and appear in no listing, but they are stored and billed. Listing them needs its
        own permission; without it, they are left to the lifecycle rule of the bucket.

        Returns:
            Names of the files that were being uploaded, sorted.
        """
        bucket, prefix = _split_folder(place)
        names = []
        try:
            for page in list(self._pages("list_multipart_uploads", Bucket=bucket, Prefix=prefix)):
                for upload in page.get("Uploads", []):
                    name = upload["Key"].removeprefix(prefix)
                    if "/" not in name:
                        self._abort(bucket, upload)
                        names.append(name)
        except OSError as error:
            if not isinstance(error, PermissionError) and error.errno != errno.ENOSYS:
                raise
        return sorted(names)

    def _abort(self, bucket: str, upload: dict[str, Any]) -> None:
        arguments = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        with suppress(FileNotFoundError):  # it has just been completed or aborted elsewhere
            self._call("abort_multipart_upload", **arguments)

    def _size(self, place: str) -> int | None:
        bucket, key = place.split("/", 1)
        try:
            return self._call("head_object", Bucket=bucket, Key=key)["ContentLength"]
        except FileNotFoundError:
            return None

    def _pages(self, method: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        while True:
            page = self._call(method, **arguments)
            yield page
            if not page.get("IsTruncated"):
                return
            if method == "list_multipart_uploads":
                arguments["KeyMarker"] = page["NextKeyMarker"]
                arguments["UploadIdMarker"] = page["NextUploadIdMarker"]
            else:
                arguments["ContinuationToken"] = page["NextContinuationToken"]

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        return self._filesystem.call_s3(method, **arguments)


def _split_folder(place: str) -> tuple[str, str]:
    """The bucket, and the key prefix of a folder."""
    bucket, _, key = place.rstrip("/").partition("/")
    return bucket, f"{key}/" if key else ""


def _code(error: BaseException) -> str:
    """The S3 error code or the HTTP status of an error; empty if there was no response."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def _incomplete_response_errors() -> tuple[type[Exception], ...]:
    """Errors raised while reading a response body that ends early or stalls, or has another checksum."""
    from aiobotocore.response import AioReadTimeoutError
    from aiohttp import ClientPayloadError
    from botocore.exceptions import FlexibleChecksumError, IncompleteReadError, ResponseStreamingError

    return (
        ClientPayloadError,
        ResponseStreamingError,
        IncompleteReadError,
        AioReadTimeoutError,
        FlexibleChecksumError,
    )


def _explained(error: Exception, url: str) -> Exception:
    """The error to raise for an error of a request; one for a missing object is returned unchanged."""
    from botocore import exceptions

    # The message of botocore: operation, status, attempts.
    reason = " ".join(str(error.__cause__ or error).split())
    if _code(error) == "NoSuchBucket":
        return RefusedError(
            f"{url}: there is no such bucket",
            "check its name, and AWS_ENDPOINT_URL if it is not Amazon's",
            path=url,
        )
    if isinstance(error, FileNotFoundError) and _code(error) in _NO_KEY:
        return error
    if _code(error) == "RequestTimeTooSkewed":
        return RefusedError(
            f"{url} is refused, as the clock of this machine is wrong ({reason})",
            "set the clock and run the same command again",
            path=url,
        )
    if isinstance(error, PermissionError):
        return RefusedError(
            f"{url} is refused ({reason})",
            "check the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE) and their rights",
            path=url,
        )
    credentials = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
    )
    if isinstance(error, credentials):
        return RefusedError(
            f"{url} needs credentials ({reason})",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
            path=url,
        )
    if isinstance(error, (exceptions.ParamValidationError, ValueError)):
        return RefusedError(
            f"{url} cannot be requested ({reason})", "check the URL and AWS_ENDPOINT_URL", path=url
        )
    return UnavailableError(
        f"{url} could not be read or written ({reason})",
        "run the same command again when the place answers; what is complete stays valid",
        path=url,
    )
