"""Answers in S3's place: a proxy's page, or other bytes than requested, is not an answer of S3."""

import re
from collections.abc import Mapping
from typing import Any

_TOO_MANY = 429  # the status of stores such as Google's and Cloudflare's
_OF_OBJECT = ("ETag", "LastModified")
# Of each operation, what S3's answer has at least one of.
_MARKS = {
    "GetObject": _OF_OBJECT,
    "HeadObject": _OF_OBJECT,
    "PutObject": _OF_OBJECT,
    "UploadPart": _OF_OBJECT,
    "CreateMultipartUpload": ("UploadId",),
    "CompleteMultipartUpload": ("ETag", "Key", "Location"),
    "ListObjectsV2": ("Name", "KeyCount", "IsTruncated"),
    "ListMultipartUploads": ("Bucket", "IsTruncated"),
}


def mark_failed(answer: Any, parsed: dict[str, Any], operation: str, headers: Mapping[str, Any]) -> None:
    """Give an answer that botocore would believe, or not repeat, the status and error of one that it repeats.

    Args:
        answer: botocore's, with a `status_code`.
        parsed: what botocore has read from it.
        operation: of S3's API, such as `GetObject`.
        headers: of the request.
    """
    if answer.status_code == _TOO_MANY:
        answer.status_code = 503  # botocore knows other words for it
    elif fault := _fault_of(answer, parsed, operation, headers):
        answer.status_code = 500
        parsed["Error"] = {"Code": "InternalError", "Message": fault}


def _fault_of(answer: Any, parsed: Mapping[str, Any], operation: str, headers: Mapping[str, Any]) -> str:
    """Why an answer without an error is not S3's, or not of the range that was asked for; empty if it is."""
    if answer.status_code >= 300:
        return ""
    marks = _MARKS.get(operation)
    if marks and not any(name in parsed for name in marks):
        return "the answer is not that of an S3 server, see AWS_ENDPOINT_URL"
    if operation == "GetObject" and "Range" in headers and "ContentRange" in parsed:
        start, last = map(int, re.findall(r"\d+", str(headers["Range"])))
        given = [int(number) for number in re.findall(r"\d+", parsed["ContentRange"])]
        last = min([last, *(size - 1 for size in given[2:])])
        if given[:2] != [start, last] or parsed.get("ContentLength") != last - start + 1:
            return f"{parsed.get('ContentLength')} bytes came, as {parsed['ContentRange']}"
    return ""
