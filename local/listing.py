"""ListObjectsV2, whose page costs what is on it: moto sorts the bucket for every page and shows emptied folders."""

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote
from xml.sax.saxutils import escape

from moto.s3.models import FakeKey

from local import object_store
from local.s3_errors import S3Error, invalid_argument
from local.server import Request, Response

MAX_KEYS = 1000

# Above every character that a key may have: the end of everything that starts with a prefix.
_LAST = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class _Asked:
    prefix: str
    delimiter: str
    after: str
    max_keys: int
    url_encoded: bool
    with_owner: bool

    def shown(self, text: str) -> str:
        return quote(text, safe="/") if self.url_encoded else escape(text)


def list_objects_v2(request: Request, bucket: str) -> Response:
    """One page of the bucket: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""
    asked = _read(request)
    items = list(islice(_items(bucket, asked), asked.max_keys + 1)) if asked.max_keys else []
    truncated = len(items) > asked.max_keys
    items = items[: asked.max_keys]
    fields = [
        ("Name", escape(bucket)),
        ("Prefix", asked.shown(asked.prefix)),
        ("MaxKeys", str(asked.max_keys)),
        ("KeyCount", str(len(items))),
        ("IsTruncated", "true" if truncated else "false"),
    ]
    if asked.delimiter:
        fields.append(("Delimiter", asked.shown(asked.delimiter)))
    if asked.url_encoded:
        fields.append(("EncodingType", "url"))
    for name in ("start-after", "continuation-token"):
        if request.has_parameter(name):
            title = "".join(part.capitalize() for part in name.split("-"))
            value = request.parameter(name)
            fields.append((title, asked.shown(value) if name == "start-after" else escape(value)))
    if truncated:
        last = items[-1]
        fields.append(("NextContinuationToken", _token(last if isinstance(last, str) else last.name)))
    parts = [f"<{name}>{value}</{name}>" for name, value in fields]
    parts += [_contents(item, asked) for item in items if isinstance(item, FakeKey)]
    parts += [
        f"<CommonPrefixes><Prefix>{asked.shown(item)}</Prefix></CommonPrefixes>"
        for item in items
        if isinstance(item, str)
    ]
    xml = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    body = f"{xml}{''.join(parts)}</ListBucketResult>".encode()
    return Response(200, (("Content-Type", "application/xml"),), body)


def _read(request: Request) -> _Asked:
    max_keys = request.parameter("max-keys", str(MAX_KEYS))
    if not (max_keys.isascii() and max_keys.isdigit()):
        raise invalid_argument("Provided max-keys not an integer or within integer range", "max-keys", max_keys)
    after = request.parameter("start-after")
    if request.has_parameter("continuation-token"):
        after = _after(request.parameter("continuation-token"))
    return _Asked(
        prefix=request.parameter("prefix"),
        delimiter=request.parameter("delimiter"),
        after=after,
        max_keys=min(int(max_keys), MAX_KEYS),
        url_encoded=request.parameter("encoding-type") == "url",
        with_owner=request.parameter("fetch-owner") == "true",
    )


def _items(bucket: str, asked: _Asked) -> Iterator[FakeKey | str]:
    """Objects and common prefixes after `after`, in the order of their UTF-8 bytes, which is that of code points."""
    names = object_store.sorted_names(bucket)
    position = max(bisect_left(names, asked.prefix), bisect_right(names, asked.after))
    start = len(asked.prefix)
    while position < len(names) and names[position].startswith(asked.prefix):
        name = names[position]
        end = name.find(asked.delimiter, start) if asked.delimiter else -1
        if end < 0:
            version = object_store.current_object(bucket, name)
            if version is not None:
                yield version
            position += 1
            continue
        common = name[: end + len(asked.delimiter)]
        if common != asked.after:  # a page that ended with this prefix is not followed by it again
            yield common
        position = bisect_right(names, common + _LAST, position)


def _contents(version: FakeKey, asked: _Asked) -> str:
    modified = object_store.version_time(version).strftime("%Y-%m-%dT%H:%M:%S.000Z")  # S3 keeps whole seconds
    fields = f"<Key>{asked.shown(version.name)}</Key><LastModified>{modified}</LastModified>"
    fields += f"<ETag>{escape(version.etag)}</ETag>"
    if version.checksum_algorithm:
        fields += f"<ChecksumAlgorithm>{version.checksum_algorithm}</ChecksumAlgorithm>"
    fields += f"<Size>{version.size}</Size><StorageClass>{version.storage_class}</StorageClass>"
    if asked.with_owner:
        fields += f"<Owner><ID>{object_store.ACCOUNT}</ID></Owner>"
    return f"<Contents>{fields}</Contents>"


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(last.encode()).decode()


def _after(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode() or _refuse()
    except (binascii.Error, UnicodeDecodeError):
        return _refuse()


def _refuse() -> str:
    details = {"ArgumentName": "continuation-token"}
    raise S3Error(400, "InvalidArgument", "The continuation token provided is incorrect", details)
