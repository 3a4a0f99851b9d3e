"""Answers: as operations give them, and as a Lambda Function URL takes them.

https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-response-payload
"""

import base64
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from nearside.errors import Contended, NearsideError, Unreachable
from nearside.gateway import s3_xml
from nearside.gateway.errors import Unavailable
from nearside.gateway.records import Generation
from nearside.gateway.s3_times import http_date

_BODYLESS = (204, 304)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`headers` have lower-case names; `is_xml` says that the body is XML text, else it is an object's bytes."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""
    is_xml: bool = False


def xml(name: str, content: s3_xml.Content, headers: Mapping[str, str] | None = None) -> Answer:
    """An XML document of S3's."""
    return xml_of(s3_xml.document(name, content), headers)


def xml_of(document: bytes, headers: Mapping[str, str] | None = None, status: int = 200) -> Answer:
    """An XML document that is there already."""
    return Answer(
        status=status, headers={"content-type": "application/xml", **(headers or {})}, body=document, is_xml=True
    )


def failure(status: int, code: str, message: str, resource: str, request_id: str) -> Answer:
    """S3's error document (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""
    content = [("Code", code), ("Message", message), ("Resource", resource), ("RequestId", request_id)]
    return xml_of(s3_xml.document("Error", content, namespace=""), status=status)


def status_and_code(problem: NearsideError) -> tuple[int, str]:
    """How S3 would put it: what may be over in a moment is a 503, which every client tries again."""
    if isinstance(problem, Contended):
        return 503, "SlowDown"
    if isinstance(problem, Unreachable | Unavailable):
        return 503, "ServiceUnavailable"
    return problem.status, problem.code


def of_object(current: Generation) -> dict[str, str]:
    """The headers that an object has, whatever is asked of it."""
    headers = {
        "last-modified": http_date(current.made),
        "etag": f'"{current.etag}"',
        "accept-ranges": "bytes",
        **current.headers,
    }
    if current.tags:
        headers["x-amz-tagging-count"] = str(len(current.tags))
    return headers


def checksums_of(current: Generation) -> dict[str, str]:
    """The headers of an object's checksums."""
    headers = {f"x-amz-checksum-{algorithm}": value for algorithm, value in current.checksums.items()}
    return {**headers, "x-amz-checksum-type": current.checksum_type} if headers else {}


def checksum_elements(what: Generation) -> list[tuple[str, s3_xml.Content]]:
    """The same as XML has them."""
    found: list[tuple[str, s3_xml.Content]] = [
        (f"Checksum{algorithm.upper()}", value) for algorithm, value in what.checksums.items()
    ]
    return [*found, ("ChecksumType", what.checksum_type)] if found else []


def lambda_answer(answer: Answer, method: str, request_id: str) -> dict[str, Any]:
    """The answer as a Function URL takes it. One to HEAD has no body: its length is in the headers."""
    headers = {
        "x-amz-request-id": request_id,
        "date": http_date(int(time.time() * 1000)),
        **answer.headers,
    }
    given: dict[str, Any] = {"statusCode": answer.status, "headers": headers, "isBase64Encoded": False, "body": ""}
    if method == "HEAD" or answer.status in _BODYLESS or not answer.body:
        return given
    if answer.is_xml:
        return {**given, "body": answer.body.decode()}
    return {**given, "isBase64Encoded": True, "body": base64.b64encode(answer.body).decode("ascii")}
