"""What each provider's S3 can do, as far as somebody looked it up: the data that adapters and docs/limits.md go by."""

from collections.abc import Mapping
from typing import Literal

import msgspec

type ProviderName = Literal["aws", "b2", "linode", "minio", "other", "r2", "rclone", "spaces", "swift", "wasabi"]

PART_BYTES = 5 * 1024**2  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. Of its abilities None means that nobody looked it up; `notes` says why not, or what else is to be
    known, by the field's name. `source` is the page that it was read on.

    `versions_always` says that buckets have versions without being told; `conditional_copies` that CopyObject heeds
    `x-amz-copy-source-if-match`; `steady_etags` that an object of parts keeps the ETag that CompleteMultipartUpload
    told; `equal_parts` that all parts but the last must have one size; `kept_metadata` that user metadata outlives the
    server's process; `any_key` that every key of S3's is one of its own, else `refused_keys` is what matches those that
    are not, some of which it would take for another's; `constrained` that CreateBucket must name the
    region (where it is refused so or so, the other is tried).
    """

    title: str
    source: str
    versions: bool | None = None
    versions_always: bool = False
    list_v2: bool | None = None
    copy: bool | None = None
    multipart: bool | None = None
    list_parts: bool | None = None
    least_part_bytes: int = PART_BYTES
    equal_parts: bool = False
    delete_objects: bool | None = None
    conditional_writes: bool | None = None
    checksum_headers: bool | None = None
    tagging: bool | None = None
    conditional_copies: bool | None = None
    steady_etags: bool | None = None
    kept_metadata: bool | None = None
    any_key: bool | None = None
    refused_keys: str = ""
    constrained: bool = False
    notes: Mapping[str, str] = {}


PROVIDERS: Mapping[str, Provider] = {
    "aws": Provider(
        title="AWS S3",
        source="https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html",
        versions=True,
        list_v2=True,
        copy=True,
        multipart=True,
        list_parts=True,
        delete_objects=True,
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
        conditional_writes=True,
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
        checksum_headers=True,
        tagging=True,
        conditional_copies=True,
        steady_etags=True,
        kept_metadata=True,
        any_key=True,
        # https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
        constrained=True,
    ),
    # Checksums: the vendor's page still tells to use SDKs from before they sent them; refused with "Unsupported header"
    # in issues of many projects up to 2025, such as https://github.com/stonith404/pingvin-share/issues/798.
    "b2": Provider(
        title="Backblaze B2",
        source="https://www.backblaze.com/docs/cloud-storage-call-the-s3-compatible-api",
        versions=True,
        # https://www.backblaze.com/docs/cloud-storage-s3-compatible-api-bucket-versions
        versions_always=True,
        list_v2=True,
        copy=True,
        multipart=True,
        list_parts=True,
        delete_objects=True,
        checksum_headers=False,
        tagging=False,
        notes={
            "checksum_headers": "was refused until 2025 at least",
            "versions": "always on",
            "tagging": "is not among its calls",
        },
    ),
    # Runs Ceph: https://docs.ceph.com/en/latest/radosgw/s3/
    "linode": Provider(
        title="Akamai (Linode)",
        source="https://techdocs.akamai.com/cloud-computing/docs/aws-cli-sdks-support-details",
        versions=True,
        copy=True,
        multipart=True,
        list_parts=True,
        delete_objects=True,
        checksum_headers=False,
        tagging=True,
        notes={"checksum_headers": "the vendor advises SDKs of before 2025"},
    ),
    "minio": Provider(
        title="MinIO",
        source="https://docs.min.io/enterprise/aistor-object-store/reference/s3-api-compatibility.html",
        versions=True,
        list_v2=True,
        copy=True,
        multipart=True,
        list_parts=True,
        delete_objects=True,
        conditional_writes=True,
        checksum_headers=True,
        tagging=True,
        # https://rclone.org/commands/rclone_serve_s3/ (Object names)
        any_key=False,
        refused_keys=r"(^|/)\.{1,2}(/|$)|//",
        notes={"any_key": "not with `.` or `..` as a segment, nor with `//`"},
    ),
    # Not a name for a place that can do nothing: what is not known is tried, and done without where it is refused.
    "other": Provider(title="any other", source=""),
    "r2": Provider(
        title="Cloudflare R2",
        source="https://developers.cloudflare.com/r2/api/s3/api/",
        versions=False,
        list_v2=True,
        copy=True,
        multipart=True,
        list_parts=True,
        # https://developers.cloudflare.com/r2/objects/multipart-objects/
        equal_parts=True,
        delete_objects=True,
        checksum_headers=True,
        tagging=False,
        notes={
            "versions": "is not implemented",
            "tagging": "`x-amz-tagging` is not implemented",
            "multipart": "all parts but the last have one size",
        },
    ),
    "rclone": Provider(
        title="rclone serve s3",
        source="https://rclone.org/commands/rclone_serve_s3/",
        versions=False,
        copy=True,
        multipart=True,
        list_parts=True,  # not among the calls of its page; seen with rclone 1.75
        delete_objects=True,
        tagging=False,
        # Seen with rclone 1.75: the answer has the parts' ETag, and a HEAD the MD5 of the whole.
        steady_etags=False,
        kept_metadata=False,
        any_key=False,
        refused_keys=r"(^|/)\.{1,2}(/|$)|//|^/|/$",
        notes={
            "versions": "is not supported",
            "copy": "keeps the source's metadata beside the new",
            "steady_etags": "becomes the MD5 of the whole",
            "tagging": "is not among its calls",
            "kept_metadata": "is in memory only",
            "any_key": "keys are paths of files: no `.` or `..` as a segment, no `//`, no slash at the ends",
        },
    ),
    "spaces": Provider(
        title="DigitalOcean Spaces",
        source="https://docs.digitalocean.com/products/spaces/reference/s3-compatibility/",
        versions=True,
        list_v2=True,
        copy=True,
        multipart=True,
        list_parts=True,
        delete_objects=True,
        notes={"copy": "within one region"},
    ),
    "swift": Provider(
        title="OpenStack Swift (s3api)",
        source="https://docs.openstack.org/swift/latest/s3_compat.html",
        versions=True,
        copy=True,
        multipart=True,
        list_parts=True,
        delete_objects=True,
        notes={"versions": "where the cluster allows it"},
    ),
    # "100 % bit-compatible", and the page names what is not; path-style is what it recommends
    # (https://docs.wasabi.com/docs/rest-api-introduction).
    "wasabi": Provider(
        title="Wasabi",
        source="https://docs.wasabi.com/apidocs/wasabi-api",
        versions=True,
        list_v2=True,
        copy=True,
        multipart=True,
        list_parts=True,
        delete_objects=True,
    ),
}

# Field, and what the gateway does with the answer.
OPERATIONS: Mapping[str, tuple[str, str]] = {
    "versions": ("versions of a bucket", "without them a copy is known by its ETag only"),
    "list_v2": ("ListObjectsV2", "where it is not there, ListObjects"),
    "copy": ("CopyObject", "where it is not there, the bytes come through the gateway"),
    "multipart": ("multipart uploads", "objects that were uploaded in parts, and large ones, need it"),
    "list_parts": ("ListParts", "where it is not there, a copy that was cut off begins again"),
    "delete_objects": ("DeleteObjects", "only to empty a bucket; else DeleteObject, one by one"),
    "conditional_writes": ("If-Match, If-None-Match on PUT", "not used: the catalog judges conditions"),
    "checksum_headers": ("x-amz-checksum-*", "not sent: Content-MD5 and the SHA-256 of the signature are"),
    "conditional_copies": ("x-amz-copy-source-if-match", "where it is not known to count, ETags are compared"),
    "steady_etags": ("the ETag of a completed upload stays", "where it is not known to, it is asked for once more"),
    "tagging": ("object tags", "not sent: the catalog keeps them"),
    "kept_metadata": ("keeps user metadata", "not needed: the catalog keeps it"),
    "any_key": ("takes every key", "a key that it refuses is in the other places only"),
}


def table() -> str:
    """The table of providers as Markdown, for docs/limits.md."""
    names = list(PROVIDERS)
    head = ["", *(PROVIDERS[name].title for name in names), "what for"]
    rows = [head, ["---"] * len(head)]
    for field, (title, use) in OPERATIONS.items():
        rows.append([title, *(_cell(PROVIDERS[name], field) for name in names), use])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    sources = [f"{each.title}: <{each.source}>" for each in PROVIDERS.values() if each.source]
    return "\n".join([*lines, "", f"Read at {'; '.join(sources)}.", ""])


def _cell(provider: Provider, field: str) -> str:
    value: bool | None = getattr(provider, field)
    word = "?" if value is None else "yes" if value else "no"
    note = provider.notes.get(field)
    return f"{word}: {note}" if note else word
