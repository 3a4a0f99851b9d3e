"""What a request's headers say of the object, of how to write and read it, and what of S3's headers is refused."""

import re
from collections.abc import Mapping

from nearside.gateway import tags
from nearside.gateway.describing import Conditions, Consistency
from nearside.gateway.errors import InvalidArgument, KeyTooLong, MetadataTooLarge, NotSupported
from nearside.gateway.s3_requests import MAX_KEY_BYTES
from nearside.gateway.s3_times import seconds_of

# S3's limit is 2 KB (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html), and the gateway's own
# mark on each object is of it.
MAX_METADATA_BYTES = 2000
METADATA = "x-amz-meta-"
_MARKS = METADATA + "nearside-"

_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "content-type", "expires")
_DEFAULT_TYPE = "binary/octet-stream"  # what S3 says of an object that came without one

# Headers by which a request asks for what the gateway cannot do truly, and the values that ask for nothing.
_REFUSED: Mapping[str, tuple[str, ...]] = {
    "x-amz-acl": ("private",),
    "x-amz-bucket-object-lock-enabled": ("false", "False"),
    "x-amz-bypass-governance-retention": ("false", "False"),
    "x-amz-expected-bucket-owner": (),
    "x-amz-if-match-initiated-time": (),
    "x-amz-if-match-last-modified-time": (),
    "x-amz-if-match-size": (),
    "x-amz-mfa": (),
    "x-amz-object-ownership": ("BucketOwnerEnforced",),
    "x-amz-source-expected-bucket-owner": (),
    "x-amz-storage-class": ("STANDARD",),
    "x-amz-website-redirect-location": (),
    "x-amz-write-offset-bytes": (),
}
_REFUSED_BEGINNINGS = (
    "x-amz-copy-source-server-side-encryption-",
    "x-amz-grant-",
    "x-amz-object-lock-",
    "x-amz-server-side-encryption",
)
# What stands in a presigned query that is no header that an SDK put there.
_SIGNING = frozenset({
    "x-amz-algorithm", "x-amz-content-sha256", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-region-set",
    "x-amz-security-token", "x-amz-signature", "x-amz-signedheaders",
})  # fmt: skip
_PRINTABLE = re.compile(r"[\t\x20-\x7e]*")


def all_of(headers: Mapping[str, str], parameters: Mapping[str, str]) -> Mapping[str, str]:
    """The headers, and those that a presigned URL has in its query, as S3 reads them. Raises NotSupported for one that
    asks for what the gateway does not do."""
    names = {name: name.lower() for name in parameters if name[:6].lower() == "x-amz-"}
    moved = {lower: parameters[name] for name, lower in names.items() if lower not in _SIGNING}
    found = {**moved, **headers} if moved else headers
    for name, value in found.items():
        if name.startswith("x-amz-"):
            if name in _REFUSED and value not in _REFUSED[name]:
                raise NotSupported(f"The header {name}: {value} is not supported by this gateway")
            if name.startswith(_REFUSED_BEGINNINGS):
                raise NotSupported(f"The header {name} is not supported by this gateway")
    return found


def stored(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that are kept with the object.

    Raises MetadataTooLarge, and InvalidArgument for values that are not ASCII and for the gateway's own names.
    """
    found = {name: value for name in _KEPT if (value := headers.get(name))}
    if "content-encoding" in found:
        codings = [each.strip() for each in found["content-encoding"].split(",")]
        left = ",".join(each for each in codings if each.lower() != "aws-chunked")
        found = (
            {**found, "content-encoding": left} if left else {n: v for n, v in found.items() if n != "content-encoding"}
        )
    found.setdefault("content-type", _DEFAULT_TYPE)
    metadata = {name: value for name, value in headers.items() if name.startswith(METADATA)}
    size = sum(len(name) - len(METADATA) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        words = "Your metadata headers exceed the maximum allowed metadata size"
        raise MetadataTooLarge(f"{words}: they have {size} bytes, and the limit is {MAX_METADATA_BYTES}")
    for name, value in (found | metadata).items():
        if name.startswith(_MARKS):
            raise InvalidArgument(f"{name} is one of the gateway's own names")
        if not _PRINTABLE.fullmatch(value):
            raise InvalidArgument(f"{name} is {value!r}: not every place takes other characters than ASCII's there")
    return found | metadata


def tagged(headers: Mapping[str, str]) -> dict[str, str]:
    """The tags of `x-amz-tagging`. Raises as `nearside.gateway.tags.from_header`."""
    return tags.from_header(headers.get("x-amz-tagging", ""))


def conditions(headers: Mapping[str, str], prefix: str = "") -> Conditions:
    """The request's conditions; `prefix` is `x-amz-copy-source-` for those on the source of a copy."""
    return Conditions(
        if_match=headers.get(f"{prefix}if-match"),
        if_none_match=headers.get(f"{prefix}if-none-match"),
        if_modified_since=seconds_of(headers.get(f"{prefix}if-modified-since")),
        if_unmodified_since=seconds_of(headers.get(f"{prefix}if-unmodified-since")),
    )


def quorum(headers: Mapping[str, str], places: int) -> int | None:
    """X-Write-Quorum: in how many places the write has to be, or it is an error; None: the caller does not say.
    Raises InvalidArgument unless it is 1 to `places`."""
    text = headers.get("x-write-quorum")
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,3}", text, re.ASCII) or not 1 <= int(text) <= places:
        raise InvalidArgument(f"X-Write-Quorum is {text!r}: expected a number from 1 to {places}, the number of places")
    return int(text)


def consistency(headers: Mapping[str, str]) -> Consistency:
    """X-Read-Consistency, `latest` by default. Raises InvalidArgument."""
    match headers.get("x-read-consistency", "latest").lower():
        case "any":
            return "any"
        case "latest":
            return "latest"
        case "verified":
            return "verified"
        case text:
            raise InvalidArgument(f"X-Read-Consistency is {text!r}: expected any, latest or verified")


def prefix(parameters: Mapping[str, str]) -> str:
    """The prefix of a listing. Raises KeyTooLong for one that no key can begin with."""
    text = parameters.get("prefix", "")
    if len(text) * 4 > MAX_KEY_BYTES and (size := len(text.encode())) > MAX_KEY_BYTES:
        raise KeyTooLong(f"The prefix has {size} bytes, and the limit of a key is {MAX_KEY_BYTES}")
    return text


def number(parameters: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
    """A number of the query, or `default`. Raises InvalidArgument unless it is from `least` to `most`."""
    text = parameters.get(name)
    if text is None or text == "":
        return default
    if not re.fullmatch(r"-?\d{1,19}", text, re.ASCII) or not least <= int(text) <= most:
        raise InvalidArgument(f"{name} is {text!r}: expected a number from {least} to {most}")
    return int(text)
