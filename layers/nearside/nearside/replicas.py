"""What a HEAD of one object in one place says, and what the answers of all places say together."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from nearside.places import Place

# A version that S3 has finished copying, or that is a copy, is older than one it has yet to copy. S3's reference
# names COMPLETED, its model also has COMPLETE (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
_SETTLED = frozenset({"COMPLETED", "COMPLETE", "REPLICA"})


class Question(msgspec.Struct, frozen=True):
    """One object, or one version of it, to be looked for in some places."""

    key: str
    version_id: str | None
    places: Sequence[Place]


class Held(msgspec.Struct, frozen=True):
    """The place has it. `last_modified` is in seconds since the epoch; S3 gives a replica its source's."""

    version_id: str | None
    etag: str
    last_modified: float
    status: str | None = None

    @property
    def version(self) -> str:
        """What tells versions apart: the version id, or the ETag where the bucket is not versioned. Every object from
        before a bucket's versioning has the id `null`
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html)."""
        return self.etag if self.version_id in (None, "null") else self.version_id


class Absent(msgspec.Struct, frozen=True):
    """The place answered 404; `deleted` when it says that the newest version is a delete marker."""

    deleted: bool = False


class Denied(msgspec.Struct, frozen=True):
    """The place refused to say (401, 403)."""

    why: str


class Silent(msgspec.Struct, frozen=True):
    """The place did not answer in time, or failed; nothing is known."""

    why: str


type Finding = Held | Absent | Denied | Silent
type Findings = Mapping[str, Finding]
"""Findings by the place's name."""


class FindsReplicas(Protocol):
    """Asks places for objects. Answers one `Findings` per question, in order, each with every place asked."""

    def __call__(self, questions: Sequence[Question]) -> Sequence[Findings]: ...


class Known(msgspec.Struct, frozen=True):
    """What the catalog knows for certain: the keys whose newest version every place has; and by place how long a copy
    takes to arrive, in milliseconds (the 99th percentile measured)."""

    everywhere: frozenset[str]
    lag_ms: Mapping[str, int]


class ReadsCatalog(Protocol):
    """Reads what the catalog knows of many keys in some places at once. Raises Unreachable or Refused."""

    def __call__(self, keys: Sequence[str], places: Sequence[str]) -> Known: ...


def newest(findings: Findings) -> Held | None:
    """The newest version that any place has: by last-modified, which has S3's resolution of one second, and of two
    in the same second the one that S3 has yet to copy."""
    held = [finding for finding in findings.values() if isinstance(finding, Held)]
    return max(held, key=lambda h: (h.last_modified, h.status not in _SETTLED), default=None)


def having(findings: Findings, version: Held) -> list[str]:
    """The names of the places whose newest version is `version`."""
    return [name for name, f in findings.items() if isinstance(f, Held) and f.version == version.version]
