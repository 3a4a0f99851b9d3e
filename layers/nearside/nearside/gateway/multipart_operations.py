"""The operations of a multipart upload."""

import re

from nearside.errors import BadRequest, Missing
from nearside.gateway import ranges, s3_headers, s3_xml
from nearside.gateway.answers import Answer, checksum_elements, checksums_of, xml
from nearside.gateway.calls import Call, Core, missing
from nearside.gateway.checksums import ALGORITHMS, HEADER, algorithm_named, announced
from nearside.gateway.copy_operations import source_of
from nearside.gateway.describing import Described
from nearside.gateway.errors import InvalidArgument, InvalidPart, MalformedXml, MissingUpload
from nearside.gateway.object_operations import current_of
from nearside.gateway.records import Part, Upload
from nearside.gateway.s3_times import xml_time

MAX_PARTS = 10_000
_ID = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_NUMBER = re.compile(r"\d{1,5}", re.ASCII)


def create_multipart_upload(core: Core, call: Call) -> Answer:
    """CreateMultipartUpload. The checksum that the object is to have stands in the upload without a value."""
    call.check("write")
    algorithm, kind = _checksum(call)
    described = Described(
        headers=s3_headers.stored(call.headers),
        tags=s3_headers.tagged(call.headers),
        checksums={algorithm: ""} if algorithm else {},
        checksum_type=kind,
    )
    core.buckets.check(call.bucket)
    upload = core.uploads.create(call.bucket, call.key, described)
    headers = {f"{HEADER}algorithm": algorithm.upper(), f"{HEADER}type": kind} if algorithm else {}
    content = [("Bucket", call.bucket), *s3_xml.said("Key", call.key), ("UploadId", upload.id)]
    return xml("InitiateMultipartUploadResult", content, headers)


def upload_part(core: Core, call: Call) -> Answer:
    """UploadPart."""
    call.check("write")
    number = _part_number(call)
    upload = upload_of(core, call)
    body, checksums = call.body()
    part = core.uploads.part(upload, number, body, checksums)
    return Answer(headers={"etag": f'"{part.etag}"', **_checksum_headers(part)})


def upload_part_copy(core: Core, call: Call) -> Answer:
    """UploadPartCopy."""
    call.check("write")
    number = _part_number(call)
    upload = upload_of(core, call)
    source = source_of(core, call)
    size = current_of(source).size
    header = call.headers.get("x-amz-copy-source-range")
    first, last = ranges.copied(header, size) if header else (0, size - 1)
    part = core.uploads.part_copy(upload, number, source, first, last)
    content = [("LastModified", xml_time(part.made)), ("ETag", f'"{part.etag}"'), *part_sums(part)]
    return xml("CopyPartResult", content)


def complete_multipart_upload(core: Core, call: Call) -> Answer:
    """CompleteMultipartUpload."""
    call.check("write")
    quorum = s3_headers.quorum(call.headers, len(core.places.names))
    upload = upload_of(core, call)
    body, _ = call.body()
    elements = list(s3_xml.read(body, "CompleteMultipartUpload").all("Part"))
    if not 1 <= len(elements) <= MAX_PARTS:
        raise MalformedXml(f"CompleteMultipartUpload has {len(elements)} parts: expected 1 to {MAX_PARTS}")
    wanted = [(_number(each.required("PartNumber")), each.required("ETag").strip().strip('"')) for each in elements]
    _check_parts(core, call, upload, elements)
    conditions, checksums = s3_headers.conditions(call.headers), announced(call.headers)
    try:
        record = core.uploads.complete(upload, wanted, conditions, quorum, checksums)
    except Missing as error:
        raise missing(core, call, call.bucket, call.key, error) from error
    current = current_of(record)
    location = f"https://{call.request.hosts[0] if call.request.hosts else ''}{call.request.path}"
    content = [
        ("Location", location),
        ("Bucket", call.bucket),
        *s3_xml.said("Key", call.key),
        ("ETag", f'"{current.etag}"'),
        *checksum_elements(current),
    ]
    return xml("CompleteMultipartUploadResult", content, {**checksums_of(current), **core.told(record)})


def abort_multipart_upload(core: Core, call: Call) -> Answer:
    """AbortMultipartUpload."""
    call.check("write")
    core.uploads.abort(upload_of(core, call))
    return Answer(status=204)


def upload_of(core: Core, call: Call) -> Upload:
    """The upload that the request names. Raises MissingUpload."""
    upload_id = call.parameters["uploadId"]
    if not _ID.fullmatch(upload_id):  # so that nothing else ever stands in the catalog's keys
        raise MissingUpload(f"the upload {upload_id[:80]!r} does not exist")
    return core.uploads.find(call.bucket, call.key, upload_id)


def _part_number(call: Call) -> int:
    return _number(call.parameters.get("partNumber", ""))


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text.strip()) or not 1 <= int(text) <= MAX_PARTS:
        raise InvalidArgument(f"Part number must be an integer between 1 and {MAX_PARTS}, inclusive: {text!r}")
    return int(text)


def _checksum(call: Call) -> tuple[str, str]:
    """Algorithm (empty: none) and type of the checksum that the object is to have. S3's defaults and combinations:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html"""
    asked, kind = call.headers.get(f"{HEADER}algorithm", ""), call.headers.get(f"{HEADER}type", "").upper()
    if not asked:
        if kind:
            raise BadRequest(f"{HEADER}type can only be used with {HEADER}algorithm")
        return "", "FULL_OBJECT"
    algorithm = algorithm_named(asked)
    kind = kind or ("FULL_OBJECT" if algorithm == "crc64nvme" else "COMPOSITE")
    if kind not in ("FULL_OBJECT", "COMPOSITE"):
        raise InvalidArgument(f"{HEADER}type is {kind!r}: expected COMPOSITE or FULL_OBJECT")
    # Only CRCs can be put together of the parts', and CRC64NVME is nothing else.
    if (algorithm == "crc64nvme") if kind == "COMPOSITE" else (not algorithm.startswith("crc")):
        raise BadRequest(f"The {kind} checksum type cannot be used with the {algorithm} checksum algorithm.")
    return algorithm, kind


def _check_parts(core: Core, call: Call, upload: Upload, elements: list[s3_xml.Element]) -> None:
    """What the client says of its parts beside their ETags. Raises InvalidPart, BadRequest."""
    size = s3_headers.number(call.headers, "x-amz-mp-object-size", -1, most=2**63 - 1)
    names = {f"Checksum{algorithm.upper()}": algorithm for algorithm in ALGORITHMS}
    if size < 0 and not any(child.name in names for each in elements for child in each.children):
        return
    parts = {part.number: part for part in core.uploads.parts(upload, 0, MAX_PARTS)[0]}
    total = 0
    for each in elements:
        part = parts.get(_number(each.required("PartNumber")))
        if part is None:  # completing says so
            return
        total += part.size
        for child in each.children:
            if child.name in names and child.text != part.checksums.get(names[child.name], child.text):
                raise InvalidPart(
                    f"Part {part.number} was not uploaded with {child.name} {child.text!r}: its checksums are "
                    f"{dict(part.checksums)}"
                )
    if size not in (-1, total):
        raise BadRequest(f"x-amz-mp-object-size is {size}, and the parts have {total} bytes")


def _checksum_headers(part: Part) -> dict[str, str]:
    return {f"{HEADER}{algorithm}": value for algorithm, value in part.checksums.items()}


def part_sums(part: Part) -> list[tuple[str, s3_xml.Content]]:
    """A part's checksums as XML has them."""
    return [(f"Checksum{algorithm.upper()}", value) for algorithm, value in part.checksums.items()]
