"""S3 as :mod:`dimmagen.core.storage` needs it: retries, what an error means, uploads that were cut off.

Requests go through s3fs. They are repeated by botocore: in its standard mode, with exponential backoff and
jitter, after 500, 502, 503, 504, throttling, and connections that fail or time out. It does not see the body
of an answer, so one that breaks off is asked for again here. Nothing is cached between two calls: a name that
another process has written or removed a moment ago is seen as it is.
"""

import errno
import functools
import io
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from dimmagen.core.errors import DimmagenError, RefusedError, UnavailableError, UsageError

SCHEMES = ("s3://", "s3a://")
ATTEMPTS = 8  # of one request, in 35 seconds on average and 71 at most; AWS_MAX_ATTEMPTS says otherwise
_LONGEST_WAIT = 20
_TIMEOUT = 60  # botocore's own; the 15 seconds of s3fs end an upload over a slow line
_BLOCK = 8 * 2**20  # what one request of an open file reads
_PART = 16 * 2**20  # of a multipart upload; a file of less than two is one request
_PARTS_AT_ONCE = 4
_MOST_PARTS = 10_000
_NO_KEY = ("", "404", "NoSuchKey", "NoSuchUpload")

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def attempts() -> int:
    """How often one request is made before it is given up."""
    return int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))


def _told(method: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Errors of s3fs, botocore and aiohttp leave a method of :class:`S3` as those of this project."""

    @functools.wraps(method)
    def told(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return method(*args, **kwargs)
        except DimmagenError:
            raise
        except Exception as error:  # there are many, and only some are OSErrors
            place = str(args[-1] if method.__name__ == "put_file" else args[1])
            explained = _explained(error, f"s3://{place}")
            if explained is error:
                raise
            raise explained from error

    return told


class S3:
    """The part of fsspec's interface that storage uses; a place is `bucket` or `bucket/key`.

    Methods raise FileNotFoundError where there is no such object, RefusedError where credentials, rights or
    the bucket are missing, and UnavailableError when the last try of a request has failed.

    Raises:
        UsageError: s3fs is not installed.
    """

    def __init__(self) -> None:
        try:
            import s3fs
        except ImportError:
            raise UsageError(
                "s3:// URLs need the package s3fs",
                "pip install 'dimmagen[s3]'",
                code="missing-package",
                package="s3fs",
            ) from None
        retries: dict[str, Any] = {"mode": "standard", "total_max_attempts": attempts()}
        # s3fs keeps and shares its instances by these arguments, one for each process.
        self._filesystem = s3fs.S3FileSystem(
            use_listings_cache=False,
            max_concurrency=1,
            config_kwargs={"retries": retries, "read_timeout": _TIMEOUT},
        )
        self._filesystem.retries = 1  # botocore's tries are enough: these would multiply them

    @_told
    def isfile(self, place: str) -> bool:
        return "/" in place and self._size(place) is not None

    @_told
    def isdir(self, place: str) -> bool:
        """Whether anything lies below a key; a bucket that exists is a folder."""
        bucket, prefix = _split_folder(place)
        page = self._call("list_objects_v2", Bucket=bucket, Prefix=prefix, MaxKeys=1)
        return not prefix or page.get("KeyCount", 0) > 0

    def exists(self, place: str) -> bool:
        return self.isfile(place) or self.isdir(place)

    @_told
    def ls(self, place: str, detail: bool = False) -> list[str]:
        """Places of the files and folders directly below a folder."""
        bucket, prefix = _split_folder(place)
        keys: list[str] = []
        for page in self._pages("list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter="/"):
            keys += [common["Prefix"].rstrip("/") for common in page.get("CommonPrefixes", [])]
            keys += [entry["Key"] for entry in page.get("Contents", [])]
        return [f"{bucket}/{key}" for key in keys if not key.endswith("/")]  # consoles make such "folders"

    @_told
    def find(self, place: str) -> dict[str, int]:
        """Places and sizes of all files below a folder."""
        bucket, prefix = _split_folder(place)
        pages = self._pages("list_objects_v2", Bucket=bucket, Prefix=prefix)
        entries = (entry for page in pages for entry in page.get("Contents", []))
        return {
            f"{bucket}/{entry['Key']}": entry["Size"] for entry in entries if not entry["Key"].endswith("/")
        }

    @_told
    def size(self, place: str) -> int:
        if (size := self._size(place)) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"s3://{place}")
        return size

    @_told
    def cat_file(self, place: str, start: int | None = None, end: int | None = None) -> bytes:
        """The bytes of an object, or those from `start` to before `end`, as far as it goes."""
        if start is not None and start == end:
            return b""
        for attempt in range(1, attempts() + 1):
            try:
                return self._filesystem.cat_file(place, start=start, end=end)
            except Exception as error:
                if start is not None and _code(error) in ("416", "InvalidRange"):
                    return b""
                if attempt == attempts() or not isinstance(error, _broken_off()):
                    raise
                time.sleep(random.random() * min(2 ** (attempt - 1), _LONGEST_WAIT))
        raise AssertionError("the last try returns or raises")

    def open(self, place: str, mode: str = "rb") -> BinaryIO:
        """An object for reading at random places, a few MiB a request."""
        return cast(BinaryIO, io.BufferedReader(_ObjectReader(self, place), _BLOCK))

    @_told
    def put_file(self, file: str, place: str) -> None:
        """Send a local file as one upload: its object appears when all of it has arrived.

        A larger file goes in parts; when one fails for good, all are discarded (s3fs aborts the upload).
        """
        part = max(_PART, os.path.getsize(file) // _MOST_PARTS + 1)
        self._filesystem.put_file(file, place, chunksize=part, max_concurrency=_PARTS_AT_ONCE)

    @_told
    def rm_file(self, place: str) -> None:
        """Remove an object; nothing happens when there is none."""
        self._filesystem.rm_file(place)

    @_told
    def abort_uploads(self, place: str) -> list[str]:
        """Discard the parts of uploads to a folder that were begun and never completed.

        They are no objects and are seen in no listing, but they are stored and paid for. Where this may not
        be asked (a right of its own), they are left to the bucket's lifecycle rule.

        Returns:
            Names of the files that were on their way, sorted.
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
        with suppress(FileNotFoundError):  # it has just ended otherwise
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


class _ObjectReader(io.RawIOBase):
    """An object as a file without a buffer: each read is a request."""

    def __init__(self, s3: S3, place: str) -> None:
        self._s3 = s3
        self._place = place
        self._size = s3.size(place)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        data = self._s3.cat_file(self._place, self._position, end)
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)


def _split_folder(place: str) -> tuple[str, str]:
    """Bucket, and what the keys of a folder begin with."""
    bucket, _, key = place.rstrip("/").partition("/")
    return bucket, f"{key}/" if key else ""


def _code(error: BaseException) -> str:
    """S3's name of an error, or its HTTP status; empty when no answer came."""
    for one in (error, error.__cause__):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", ""))
    return ""


def _broken_off() -> tuple[type[Exception], ...]:
    """What the body of an answer raises when it ends too early or comes no more."""
    from aiobotocore.response import AioReadTimeoutError
    from aiohttp import ClientPayloadError
    from botocore.exceptions import IncompleteReadError, ResponseStreamingError

    return (ClientPayloadError, ResponseStreamingError, IncompleteReadError, AioReadTimeoutError)


def _explained(error: Exception, url: str) -> Exception:
    """What an error of a request means to the user; a missing object's stays as it is."""
    from botocore import exceptions

    reason = " ".join(str(error.__cause__ or error).split())  # botocore's words: operation, status, tries
    if _code(error) == "NoSuchBucket":
        return RefusedError(
            f"{url}: there is no such bucket",
            "check its name, and AWS_ENDPOINT_URL if it is not Amazon's",
            path=url,
        )
    if isinstance(error, FileNotFoundError) and _code(error) in _NO_KEY:
        return error
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
