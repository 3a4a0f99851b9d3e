"""CopyObject, and what it shares with UploadPartCopy: the source, who may read it, and its conditions."""

from urllib.parse import unquote_to_bytes

from nearside.errors import BadRequest, Missing
from nearside.gateway import s3_headers
from nearside.gateway.answers import Answer, checksum_elements, checksums_of, xml
from nearside.gateway.calls import Call, Core, found, missing
from nearside.gateway.checksums import algorithm_named
from nearside.gateway.describing import Described
from nearside.gateway.errors import InvalidArgument, NotSupported, PreconditionFailed
from nearside.gateway.object_operations import current_of
from nearside.gateway.records import Generation, Record
from nearside.gateway.s3_requests import bucket_name, object_key
from nearside.gateway.s3_times import xml_time


def copy_object(core: Core, call: Call) -> Answer:
    """CopyObject."""
    call.check("write")
    replaces = {name: _directive(call, name) == "REPLACE" for name in ("metadata", "tagging")}
    quorum = s3_headers.quorum(call.headers, len(core.places.names))
    record = source_of(core, call)
    source = current_of(record)
    if (record.bucket, record.key) == (call.bucket, call.key) and not replaces["metadata"]:
        words = "to itself without changing the object's metadata, storage class, website redirect location or"
        raise BadRequest(
            f"This copy request is illegal because it is trying to copy an object {words} encryption attributes."
        )
    described = Described(
        headers=s3_headers.stored(call.headers) if replaces["metadata"] else source.headers,
        tags=s3_headers.tagged(call.headers) if replaces["tagging"] else source.tags,
        checksums=_checksums(call, source),
        checksum_type=source.checksum_type,
    )
    core.buckets.check(call.bucket)
    try:
        copied = core.writer.copy(record, call.bucket, call.key, described, s3_headers.conditions(call.headers), quorum)
    except Missing as error:
        raise missing(core, call, call.bucket, call.key, error) from error
    current = current_of(copied)
    content = [
        ("LastModified", xml_time(current.made)),
        ("ETag", f'"{current.etag}"'),
        *checksum_elements(current),
    ]
    return xml("CopyObjectResult", content, {**checksums_of(current), **core.told(copied)})


def source_of(core: Core, call: Call) -> Record:
    """The object that `x-amz-copy-source` names, which the caller may read and which is as its conditions ask.

    Raises InvalidArgument, NotSupported (a version), Refused, Missing, MissingBucket, PreconditionFailed.
    """
    bucket, key = _named(call.headers["x-amz-copy-source"])
    call.access.check("read", bucket, key)
    record = found(core, call, bucket, key)
    if not s3_headers.conditions(call.headers, "x-amz-copy-source-").check_read(current_of(record)):
        raise PreconditionFailed("At least one of the pre-conditions you specified on the source did not hold")
    return record


def _named(header: str) -> tuple[str, str]:
    path, question, query = header.partition("?")
    if question:
        raise NotSupported(f"x-amz-copy-source has {query!r}: a version is not supported by this gateway")
    try:
        decoded = unquote_to_bytes(path).decode()
    except ValueError as error:
        raise InvalidArgument(f"x-amz-copy-source is {header!r}: it is not percent-encoded UTF-8") from error
    if decoded.startswith("arn:"):
        raise NotSupported(f"x-amz-copy-source is {header!r}: an ARN is not supported by this gateway")
    bucket, _, key = decoded.removeprefix("/").partition("/")
    if not bucket or not key:
        raise InvalidArgument("Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    return bucket_name(bucket), object_key(key)


def _directive(call: Call, name: str) -> str:
    value = call.headers.get(f"x-amz-{name}-directive", "COPY").upper()
    if value not in ("COPY", "REPLACE"):
        raise InvalidArgument(f"Unknown {name} directive: {value!r}, expected COPY or REPLACE")
    return value


def _checksums(call: Call, source: Generation) -> dict[str, str]:
    """The source's, since the bytes are. Raises NotSupported when another one is asked for, which would take reading
    them."""
    asked = call.headers.get("x-amz-checksum-algorithm")
    if asked and algorithm_named(asked) not in source.checksums:
        raise NotSupported(f"x-amz-checksum-algorithm is {asked}: a copy has the checksums of its source")
    return dict(source.checksums)
