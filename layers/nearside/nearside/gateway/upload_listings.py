"""The listings of uploads that are under way, and of the parts of one."""

from nearside.gateway import s3_headers, s3_xml
from nearside.gateway.answers import Answer, xml
from nearside.gateway.bucket_operations import OWNER
from nearside.gateway.calls import Call, Core
from nearside.gateway.listing_operations import Encoding, Fields
from nearside.gateway.multipart_operations import MAX_PARTS, part_sums, upload_of
from nearside.gateway.records import Part, Upload
from nearside.gateway.s3_times import xml_time

MAX_LISTED = 1000


def list_parts(core: Core, call: Call) -> Answer:
    """ListParts."""
    call.check("write")
    marker = s3_headers.number(call.parameters, "part-number-marker", 0, most=MAX_PARTS)
    limit = min(s3_headers.number(call.parameters, "max-parts", MAX_LISTED), MAX_LISTED)
    upload = upload_of(core, call)
    parts, more = core.uploads.parts(upload, marker, limit) if limit else ([], False)
    algorithms = [name.upper() for name in upload.generation.checksums]
    fields: Fields = [
        ("Bucket", call.bucket),
        *s3_xml.said("Key", call.key),
        ("UploadId", upload.id),
        ("PartNumberMarker", marker),
        *([("NextPartNumberMarker", parts[-1].number)] if parts else []),
        ("MaxParts", limit),
        ("IsTruncated", more),
        *[("Part", _part(part)) for part in parts],
        ("Initiator", OWNER),
        ("Owner", OWNER),
        ("StorageClass", "STANDARD"),
        *[("ChecksumAlgorithm", name) for name in algorithms],
        *([("ChecksumType", upload.generation.checksum_type)] if algorithms else []),
    ]
    return xml("ListPartsResult", fields)


def list_multipart_uploads(core: Core, call: Call) -> Answer:
    """ListMultipartUploads."""
    parameters = call.parameters
    prefix, delimiter = s3_headers.prefix(parameters), parameters.get("delimiter", "")
    call.access.check("list", call.bucket, prefix)
    core.buckets.check(call.bucket)
    encoded = Encoding(parameters)
    key_marker, id_marker = parameters.get("key-marker", ""), parameters.get("upload-id-marker", "")
    limit = min(s3_headers.number(parameters, "max-uploads", MAX_LISTED), MAX_LISTED)
    uploads, prefixes, following = _page(core, call.bucket, (prefix, delimiter), (key_marker, id_marker), limit)
    fields: Fields = [
        ("Bucket", call.bucket),
        ("KeyMarker", encoded(key_marker)),
        ("UploadIdMarker", id_marker if key_marker else ""),
        *([("NextKeyMarker", encoded(following[0])), ("NextUploadIdMarker", following[1])] if following else []),
        ("Prefix", encoded(prefix)),
        *([("Delimiter", encoded(delimiter))] if delimiter else []),
        ("MaxUploads", limit),
        *encoded.fields,
        ("IsTruncated", following is not None),
        *[("Upload", _upload(upload, encoded)) for upload in uploads],
        *[("CommonPrefixes", [("Prefix", encoded(each))]) for each in prefixes],
    ]
    return xml("ListMultipartUploadsResult", fields)


def _page(
    core: Core, bucket: str, within: tuple[str, str], markers: tuple[str, str], limit: int
) -> tuple[list[Upload], list[str], tuple[str, str] | None]:
    """Up to `limit` uploads and common prefixes, and the markers of the next page; None when there is none."""
    prefix, delimiter = within
    uploads: list[Upload] = []
    prefixes: list[str] = []
    last = markers
    if not limit:
        return uploads, prefixes, None
    after, more = _after(markers, delimiter), True
    while more:
        found, more = core.uploads.list(bucket, prefix, after, MAX_LISTED)
        for upload in found:
            common = _common(upload.key, prefix, delimiter)
            if common and common in (last[0], markers[0]):
                continue
            if len(uploads) + len(prefixes) == limit:
                return uploads, prefixes, last
            last = (common, "") if common else (upload.key, upload.id)
            if common:
                prefixes.append(common)
            else:
                uploads.append(upload)
        if not found:
            break
        after = f"{found[-1].key}\0{found[-1].id}" if not _is_rolled(last, delimiter) else _after(last, delimiter)
    return uploads, prefixes, None


def _after(markers: tuple[str, str], delimiter: str) -> str:
    """What the listing is to begin after: a key marker alone leaves out all of that key's uploads, and one that is a
    common prefix all that it stands for."""
    key, upload_id = markers
    if key and upload_id:
        return f"{key}\0{upload_id}"
    return f"{key}\U0010ffff" if _is_rolled(markers, delimiter) else key


def _is_rolled(markers: tuple[str, str], delimiter: str) -> bool:
    return bool(delimiter) and not markers[1] and markers[0].endswith(delimiter)


def _common(key: str, prefix: str, delimiter: str) -> str:
    rest = key.removeprefix(prefix)
    return prefix + rest[: rest.index(delimiter)] + delimiter if delimiter and delimiter in rest else ""


def _part(part: Part) -> Fields:
    return [
        ("PartNumber", part.number),
        ("LastModified", xml_time(part.made)),
        ("ETag", f'"{part.etag}"'),
        ("Size", part.size),
        *part_sums(part),
    ]


def _upload(upload: Upload, encoded: Encoding) -> Fields:
    algorithms: Fields = [("ChecksumAlgorithm", name.upper()) for name in upload.generation.checksums]
    if algorithms:
        algorithms.append(("ChecksumType", upload.generation.checksum_type))
    return [
        ("Key", encoded(upload.key)),
        ("UploadId", upload.id),
        ("Initiator", OWNER),
        ("Owner", OWNER),
        ("StorageClass", "STANDARD"),
        ("Initiated", xml_time(upload.generation.made)),
        *algorithms,
    ]
