"""An object's tags: as a header has them, as XML has them, and S3's rules for both.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html
"""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote_plus

from nearside.errors import BadRequest
from nearside.gateway import s3_xml
from nearside.gateway.errors import InvalidTag

MAX_TAGS = 10
MAX_KEY_CHARACTERS = 128
MAX_VALUE_CHARACTERS = 256
_ALSO = " _.:/=+-@"


def from_header(header: str) -> dict[str, str]:
    """The tags of `x-amz-tagging`, a query string. Raises InvalidTag, and BadRequest for too many."""
    pairs = [pair.partition("=") for pair in header.split("&") if pair]
    try:
        return _checked(
            [(unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")) for name, _, value in pairs]
        )
    except UnicodeDecodeError as error:
        raise InvalidTag(f"{header!r} is not percent-encoded UTF-8") from error


def from_xml(body: bytes) -> dict[str, str]:
    """The tags of a `Tagging` document. Raises MalformedXml, InvalidTag, and BadRequest for too many."""
    sets = list(s3_xml.read(body, "Tagging").all("TagSet"))
    return _checked([(tag.required("Key"), tag.required("Value")) for each in sets for tag in each.all("Tag")])


def to_xml(tags: Mapping[str, str]) -> bytes:
    """Such a document."""
    return s3_xml.document(
        "Tagging", [("TagSet", [("Tag", [("Key", name), ("Value", value)]) for name, value in tags.items()])]
    )


def _checked(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for name, value in pairs:
        if name in tags:
            raise InvalidTag(f"Cannot provide multiple Tags with the same key: {name!r}")
        if not 1 <= len(name) <= MAX_KEY_CHARACTERS or name.lower().startswith("aws:") or not _is_allowed(name):
            words = f"expected 1 to {MAX_KEY_CHARACTERS} letters, digits and {_ALSO!r}, and not aws: before them"
            raise InvalidTag(f"The TagKey you have provided is invalid: {name!r}; {words}")
        if len(value) > MAX_VALUE_CHARACTERS or not _is_allowed(value):
            words = f"expected at most {MAX_VALUE_CHARACTERS} letters, digits and {_ALSO!r}"
            raise InvalidTag(f"The TagValue you have provided is invalid: {value!r}; {words}")
        tags[name] = value
    if len(tags) > MAX_TAGS:
        raise BadRequest(f"Object tags cannot be greater than {MAX_TAGS}: these are {len(tags)}")
    return tags


def _is_allowed(text: str) -> bool:
    return all(character.isalnum() or character in _ALSO for character in text)
