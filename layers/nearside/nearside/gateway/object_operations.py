"""The operations on one object: put, get, head, delete, and what is known of it."""

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from nearside.errors import BadRequest, Missing
from nearside.gateway import ranges, s3_headers, s3_xml
from nearside.gateway.answers import Answer, checksum_elements, checksums_of, failure, of_object, xml
from nearside.gateway.calls import Call, Core, found, missing
from nearside.gateway.describing import Consistency, Described
from nearside.gateway.errors import InvalidArgument, NotSupported, Replaced
from nearside.gateway.records import Generation, Record

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html#API_GetObject_RequestSyntax
_OVERRIDES = {
    f"response-{name}": name
    for name in (
        "cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires",
    )
}  # fmt: skip
_NOT_MODIFIED = ("cache-control", "etag", "expires", "last-modified")
_ROUNDS = 3
_ATTRIBUTES = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


def put_object(core: Core, call: Call) -> Answer:
    """PutObject."""
    call.check("write")
    if "partNumber" in call.parameters:
        raise InvalidArgument("This operation does not accept partNumber without uploadId")
    headers = s3_headers.stored(call.headers)
    tags = s3_headers.tagged(call.headers)
    quorum = s3_headers.quorum(call.headers, len(core.places.names))
    core.buckets.check(call.bucket)
    body, checksums = call.body()
    described = Described(headers=headers, tags=tags, checksums=checksums)
    conditions = s3_headers.conditions(call.headers)
    try:
        record = core.writer.put(call.bucket, call.key, body, described, conditions, quorum)
    except Missing as error:
        raise missing(core, call, call.bucket, call.key, error) from error
    current = current_of(record)
    return Answer(headers={"etag": f'"{current.etag}"', **checksums_of(current), **core.told(record)})


def get_object(core: Core, call: Call) -> Answer:
    """GetObject. What an answer cannot carry is to be had from a place: 307 and a URL."""
    call.check("read")
    for _ in range(_ROUNDS - 1):
        with suppress(Replaced):  # somebody writes it all the time: what there is now is as good
            return _got(core, call)
    return _got(core, call)


def _got(core: Core, call: Call) -> Answer:
    record, consistency = _found(core, call)
    current = current_of(record)
    if not s3_headers.conditions(call.headers).check_read(current):
        return _not_modified(core, record)
    asked = _asked(call, current)
    first, last = asked or (0, current.size - 1)
    if last - first + 1 > core.max_body_bytes:
        return _redirect(core, call, record)
    body = core.reader.read(record, first, last, consistency)
    headers = {**_object_headers(call, current, whole=asked is None), **core.told(record, body.place or None)}
    if asked is None:
        return Answer(headers=headers, body=body.data)
    return Answer(status=206, headers={**headers, "content-range": _content_range(asked, current)}, body=body.data)


def head_object(core: Core, call: Call) -> Answer:
    """HeadObject."""
    call.check("read")
    record, _ = _found(core, call)
    current = current_of(record)
    if not s3_headers.conditions(call.headers).check_read(current):
        return _not_modified(core, record)
    asked = _asked(call, current)
    first, last = asked or (0, current.size - 1)
    headers = {
        **_object_headers(call, current, whole=asked is None),
        "content-length": str(last - first + 1),
        **core.told(record),
    }
    if asked is None:
        return Answer(headers=headers)
    return Answer(status=206, headers={**headers, "content-range": _content_range(asked, current)})


def delete_object(core: Core, call: Call) -> Answer:
    """DeleteObject."""
    call.check("delete")
    try:
        record = core.writer.delete(call.bucket, call.key, s3_headers.conditions(call.headers))
    except Missing as error:
        raise missing(core, call, call.bucket, call.key, error) from error
    if record is None:
        core.buckets.check(call.bucket)
    return Answer(status=204)


def get_object_attributes(core: Core, call: Call) -> Answer:
    """GetObjectAttributes, without the list of parts."""
    call.check("read")
    asked = [name.strip() for name in call.headers.get("x-amz-object-attributes", "").split(",")]
    for name in asked:
        if name not in _ATTRIBUTES:
            raise BadRequest(f"Invalid attribute name specified: {name!r}; expected some of {', '.join(_ATTRIBUTES)}")
    record, _ = _found(core, call)
    current = current_of(record)
    values: dict[str, s3_xml.Content] = {
        "ETag": current.etag,
        "StorageClass": "STANDARD",
        "ObjectSize": current.size,
    }
    if current.checksums:
        values["Checksum"] = checksum_elements(current)
    if count := current.etag.partition("-")[2]:
        values["ObjectParts"] = [("PartsCount", count)]
    content = [(name, values[name]) for name in _ATTRIBUTES if name in asked and name in values]
    headers = {"last-modified": of_object(current)["last-modified"], **core.told(record)}
    return xml("GetObjectAttributesResponse", content, headers)


def current_of(record: Record) -> Generation:
    """The record's current generation. Raises Missing when the object is deleted."""
    if record.current is None:
        raise Missing(f"{record.key!r} does not exist in {record.bucket}")
    return record.current


def _found(core: Core, call: Call) -> tuple[Record, Consistency]:
    consistency = s3_headers.consistency(call.headers)
    return found(core, call, call.bucket, call.key, consistency), consistency


def _asked(call: Call, current: Generation) -> tuple[int, int] | None:
    """First and last byte of what is asked for; None: the whole object."""
    if "partNumber" not in call.parameters:
        return ranges.asked(call.headers, current)
    number = s3_headers.number(call.parameters, "partNumber", 1, least=1, most=10_000)
    if "range" in call.headers:
        raise BadRequest("Cannot specify both Range header and partNumber query parameter")
    if number > 1 or "-" in current.etag:
        raise NotSupported(f"partNumber={number}: the parts that an object was made of are not kept")
    return (0, current.size - 1) if current.size else None


def _object_headers(call: Call, current: Generation, *, whole: bool) -> dict[str, str]:
    """The object's headers; its checksums only with all of its bytes, as S3 does it."""
    headers = of_object(current)
    if whole and call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers.update(checksums_of(current))
    headers.update({_OVERRIDES[name]: value for name, value in _overrides(call).items()})
    return headers


def _overrides(call: Call) -> Mapping[str, str]:
    """What the query says of the answer's headers. Raises InvalidArgument for what no header can be."""
    asked = {name: value for name, value in call.parameters.items() if name in _OVERRIDES}
    for name, value in asked.items():
        if not value.isprintable() or not value.isascii():
            raise InvalidArgument(f"{name} is {value!r}: a header has ASCII characters, and no control characters")
    return asked


def _content_range(asked: tuple[int, int], current: Generation) -> str:
    return f"bytes {asked[0]}-{asked[1]}/{current.size}"


def _not_modified(core: Core, record: Record) -> Answer:
    headers = {name: value for name, value in of_object(current_of(record)).items() if name in _NOT_MODIFIED}
    return Answer(status=304, headers={**headers, **core.told(record)})


def _redirect(core: Core, call: Call, record: Record) -> Answer:
    url, place = core.reader.redirect(record, _overrides(call))
    message = (
        f"This gateway's answers have at most {core.max_body_bytes} bytes: ask for a range that is not longer, or "
        "re-send this request to the place that Location names"
    )
    answer = failure(307, "TemporaryRedirect", message, call.request.path, call.request.id)
    headers = {**answer.headers, "location": url, "cache-control": "no-store", **core.told(record, place)}
    return msgspec.structs.replace(answer, headers=headers)
