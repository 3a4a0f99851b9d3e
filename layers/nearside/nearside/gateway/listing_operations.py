"""The listings of a bucket's objects, in both of S3's versions."""

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import quote

from nearside.gateway import s3_headers, s3_xml
from nearside.gateway.answers import Answer, xml
from nearside.gateway.bucket_operations import OWNER
from nearside.gateway.calls import Call, Core, Page
from nearside.gateway.errors import InvalidArgument
from nearside.gateway.records import Record
from nearside.gateway.s3_times import xml_time

MAX_KEYS = 1000
_WAY = "1"  # of making tokens, should there be another

type Fields = list[tuple[str, s3_xml.Content]]


class Encoding:
    """`encoding-type`: what keys look like in a listing."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self.name = parameters.get("encoding-type", "")
        if self.name not in ("", "url"):
            raise InvalidArgument(f"Invalid Encoding Method specified in Request: {self.name!r}, expected url")

    def __call__(self, text: str) -> str:
        return quote(text, safe="/") if self.name else text

    @property
    def fields(self) -> Fields:
        """What a listing says of it."""
        return [("EncodingType", self.name)] if self.name else []


def list_objects(core: Core, call: Call) -> Answer:
    """ListObjects, the first version."""
    encoded = Encoding(call.parameters)
    marker, limit = call.parameters.get("marker", ""), _limit(call.parameters)
    page = _page(core, call, marker, limit)
    fields: Fields = [
        ("Name", call.bucket),
        ("Prefix", encoded(call.parameters.get("prefix", ""))),
        ("Marker", encoded(marker)),
        *_next_marker(page, encoded),
        ("MaxKeys", limit),
        *_delimiter(call.parameters, encoded),
        *encoded.fields,
        ("IsTruncated", page is not None and page.following is not None),
        *_contents(page, encoded, with_owner=True),
    ]
    return xml("ListBucketResult", fields)


def list_objects_v2(core: Core, call: Call) -> Answer:
    """ListObjectsV2."""
    parameters = call.parameters
    if parameters["list-type"] != "2":
        raise InvalidArgument(f"list-type is {parameters['list-type']!r}: expected 2")
    encoded = Encoding(parameters)
    token, start = parameters.get("continuation-token"), parameters.get("start-after", "")
    limit = _limit(parameters)
    page = _page(core, call, start if token is None else _opened(token), limit)
    following = page.following if page else None
    fields: Fields = [
        ("Name", call.bucket),
        ("Prefix", encoded(parameters.get("prefix", ""))),
        *([("ContinuationToken", token)] if token else []),
        *([("NextContinuationToken", _sealed(following))] if following is not None else []),
        *([("StartAfter", encoded(start))] if start else []),
        ("KeyCount", len(page.records) + len(page.prefixes) if page else 0),
        ("MaxKeys", limit),
        *_delimiter(parameters, encoded),
        *encoded.fields,
        ("IsTruncated", following is not None),
        *_contents(page, encoded, with_owner=parameters.get("fetch-owner") == "true"),
    ]
    return xml("ListBucketResult", fields)


def _limit(parameters: Mapping[str, str]) -> int:
    return min(s3_headers.number(parameters, "max-keys", MAX_KEYS), MAX_KEYS)


def _page(core: Core, call: Call, after: str, limit: int) -> Page | None:
    """None when nothing is asked for. An empty bucket and one that is not there are told apart."""
    prefix, delimiter = s3_headers.prefix(call.parameters), call.parameters.get("delimiter", "")
    call.access.check("list", call.bucket, prefix)
    page = core.listings.page(call.bucket, prefix, delimiter, after, limit) if limit else None
    if page is None or not (page.records or page.prefixes):
        core.buckets.check(call.bucket)
    return page


def _next_marker(page: Page | None, encoded: Encoding) -> Fields:
    following = page.following if page else None
    return [("NextMarker", encoded(following))] if following is not None else []


def _delimiter(parameters: Mapping[str, str], encoded: Encoding) -> Fields:
    delimiter = parameters.get("delimiter", "")
    return [("Delimiter", encoded(delimiter))] if delimiter else []


def _contents(page: Page | None, encoded: Encoding, *, with_owner: bool) -> Fields:
    if page is None:
        return []
    objects: Fields = [("Contents", _listed(record, encoded, with_owner=with_owner)) for record in page.records]
    return objects + [("CommonPrefixes", [("Prefix", encoded(prefix))]) for prefix in page.prefixes]


def _listed(record: Record, encoded: Encoding, *, with_owner: bool) -> Fields:
    current = record.current
    if current is None:
        raise AssertionError(f"{record.key!r} is deleted, and is listed")
    sums: Fields = [("ChecksumAlgorithm", name.upper()) for name in current.checksums]
    if sums:
        sums.append(("ChecksumType", current.checksum_type))
    return [
        ("Key", encoded(record.key)),
        ("LastModified", xml_time(current.made)),
        ("ETag", f'"{current.etag}"'),
        *sums,
        ("Size", current.size),
        *([("Owner", OWNER)] if with_owner else []),
        ("StorageClass", "STANDARD"),
    ]


def _sealed(after: str) -> str:
    return base64.urlsafe_b64encode((_WAY + after).encode()).decode("ascii")


def _opened(token: str) -> str:
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument(f"The continuation token provided is incorrect: {token!r}") from error
    if not text.startswith(_WAY):
        raise InvalidArgument(f"The continuation token provided is incorrect: {token!r}")
    return text.removeprefix(_WAY)
