"""Entity tags: which one an answer has, and whether If-None-Match names it (RFC 9110, 8.8.3 and 13.1.2)."""

import hashlib
import re

# Not compiled here: only requests with the header pay for it.
_TAG = r'(?:W/)?("[^"\x00-\x20\x7f]*")'


def entity_tag(body: bytes) -> str:
    """The strong tag of these bytes, in its quotes: 128 bits of SHA-256, so that no two bodies share one."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def names(if_none_match: str, tag: str) -> bool:
    """Whether the header's value (empty: there is none) names the tag, compared without regard to `W/`, or is `*`.

    Of a value that is no list of tags nothing counts: the whole answer is always right, a 304 is not.
    """
    if if_none_match.strip() == "*":
        return True
    if re.sub(_TAG, "", if_none_match).strip(" \t,"):
        return False
    return tag.removeprefix("W/") in re.findall(_TAG, if_none_match)
