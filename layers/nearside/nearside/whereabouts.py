"""Where the newest version of each of many objects is: what a listing shows beside every name."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec

from nearside.access import Caller, Policy
from nearside.errors import NearsideError, Refused
from nearside.failure_reasons import cause
from nearside.items import MAX_KEY_BYTES
from nearside.places import Place
from nearside.records import Current, Replica, made_at
from nearside.replicas import Denied, Finding, Findings, FindsReplicas, Held, Question, Silent, newest

MAX_KEYS = 100
_PENDING = frozenset({"PENDING"})

type DotState = Literal["PENDING", "COMPLETED", "FAILED", "ABSENT", "UNKNOWN"]


class ObjectsAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The objects that are asked about, up to 100."""

    keys: Annotated[list[Annotated[str, msgspec.Meta(min_length=1)]], msgspec.Meta(min_length=1, max_length=MAX_KEYS)]

    def __post_init__(self) -> None:
        for number, key in enumerate(self.keys):
            if (size := len(key.encode())) > MAX_KEY_BYTES:
                raise ValueError(f"keys[{number}] has {size} bytes in UTF-8: expected at most {MAX_KEY_BYTES}")


class Dot(msgspec.Struct, frozen=True):
    """The newest version in one place: its state, how long it took to come, and in words why it is not there."""

    place: str
    state: DotState
    lag_ms: int | None = None
    why: str = ""


class ObjectDots(msgspec.Struct, frozen=True):
    """One object's newest version in every place. `version_id` is null when no place is known to have one; `marker`
    says that it is a delete marker."""

    key: str
    version_id: str | None
    marker: bool
    places: list[Dot]


class ObjectFailed(msgspec.Struct, frozen=True):
    """One object of which nothing is told: the error it would have got alone, and the status it would have had."""

    key: str
    error: str
    message: str
    status: int


class ManyDots(msgspec.Struct, frozen=True):
    """What is known of each object, an ObjectDots or an ObjectFailed, in the order of its keys."""

    # msgspec encodes a union of structs but describes none without a tag, so its schema is said here.
    objects: Annotated[
        list[Any],
        msgspec.Meta(
            extra_json_schema={
                "items": {
                    "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in ("ObjectDots", "ObjectFailed")]
                }
            }
        ),
    ]


class ReadsMany(Protocol):
    """The catalog's records of many objects in one home. Both raise Unreachable or Refused."""

    def currents(self, keys: Sequence[str], place: str) -> Mapping[str, Current]:
        """The newest version that the place has of each key that it knows."""
        ...

    def versions(self, wanted: Mapping[str, str], place: str) -> Mapping[str, Replica]:
        """The place's record of one version of each key, where there is one."""
        ...


class Whereabouts(msgspec.Struct, frozen=True):
    """Reads the catalog, and asks the places for what it does not know; nothing is remembered of that."""

    places: Sequence[Place]
    records: ReadsMany
    find: FindsReplicas
    policy: Policy

    def of(self, asked: ObjectsAsked, caller: Caller) -> ManyDots:
        """Each object in every place. Raises nothing for a home that does not answer: its places are UNKNOWN."""
        wanted = [key for key in dict.fromkeys(asked.keys) if self.policy.allows(caller, "read", key)]
        scene = _Scene(self.places, self.records)
        known = scene.read(wanted) if wanted else {}
        strangers = [key for key in wanted if known[key].version_id is None]
        found = self.find([Question(key, None, self.places) for key in strangers]) if strangers else []
        known |= {key: _looked(key, findings) for key, findings in zip(strangers, found, strict=True)}
        return ManyDots([known.get(key) or self._refused(key, caller) for key in asked.keys])

    def _refused(self, key: str, caller: Caller) -> ObjectFailed:
        return ObjectFailed(key, Refused.code, f"{caller.name} may not read {key!r}", Refused.status)


class _Scene:
    """Many objects at one moment: what stands in the catalog, and which homes do not say."""

    def __init__(self, places: Sequence[Place], records: ReadsMany) -> None:
        self._places = places
        self._records = records
        self._silent: dict[str, str] = {}

    def read(self, keys: Sequence[str]) -> dict[str, ObjectDots]:
        """Two reads for each home: which version is the newest anywhere, and how that one is in each place."""
        currents: dict[str, Current] = {}
        for place in self._places:
            for key, current in self._tried(place.name, keys).items():
                if current.version is not None and (key not in currents or current.rank > currents[key].rank):
                    currents[key] = current
        wanted = {key: current.version for key, current in currents.items() if current.version is not None}
        replicas = {place.name: self._versions(place.name, wanted) for place in self._places}
        return {key: self._dots(key, currents.get(key), replicas) for key in keys}

    def _tried(self, place: str, keys: Sequence[str]) -> Mapping[str, Current]:
        try:
            return self._records.currents(keys, place)
        except NearsideError as error:
            self._silent[place] = str(error)
            return {}

    def _versions(self, place: str, wanted: Mapping[str, str]) -> Mapping[str, Replica]:
        if place in self._silent or not wanted:
            return {}
        try:
            return self._records.versions(wanted, place)
        except NearsideError as error:
            self._silent[place] = str(error)
            return {}

    def _dots(self, key: str, current: Current | None, replicas: Mapping[str, Mapping[str, Replica]]) -> ObjectDots:
        here = {name: found[key] for name, found in replicas.items() if key in found}
        made = made_at(here.values())
        held = [replica for replica in here.values() if replica.state == "COMPLETED"]
        # Where it was written: the place that had it first. Of one that a look found, nobody knows since when.
        source = min(held, key=lambda each: (each.found, each.seen or each.observed or 0), default=None)
        dots = [self._dot(place.name, here.get(place.name), made, source) for place in self._places]
        return ObjectDots(key, current.version if current else None, bool(current and current.marker), dots)

    def _dot(self, place: str, replica: Replica | None, made: int, source: Replica | None) -> Dot:
        if place in self._silent:
            return Dot(place, "UNKNOWN", why=f"the catalog does not answer: {self._silent[place]}")
        if replica is None:
            return Dot(place, "UNKNOWN", why="the catalog has heard nothing of this version here")
        lag = replica.seen - made if replica.seen and source is not None and source.place != place else None
        return Dot(place, replica.state, lag if replica.state == "COMPLETED" else None, _why(replica))


def _why(replica: Replica) -> str:
    match replica.state:
        case "COMPLETED":
            return ""
        case "PENDING":
            return "it is overdue: S3 has missed its own threshold" if replica.overdue else "it is on its way"
        case "FAILED":
            return cause(replica.reason or "").what
        case "ABSENT":
            return "it was deleted before it came here" if replica.withdrawn else "it was deleted here"


def _looked(key: str, findings: Findings) -> ObjectDots:
    """What a HEAD of every place says of an object that the catalog does not know."""
    best = newest(findings)
    return ObjectDots(
        key, best.version_id if best else None, False, [_seen(name, each, best) for name, each in findings.items()]
    )


def _seen(place: str, finding: Finding, best: Held | None) -> Dot:
    match finding:
        case Held() if best and finding.version == best.version:
            return Dot(place, "COMPLETED")
        case Denied(why) | Silent(why):
            return Dot(place, "UNKNOWN", why=why)
    if best is None:
        return Dot(place, "ABSENT", why="no place is known to have it")
    if best.status in _PENDING:
        return Dot(place, "PENDING", why="it is on its way")
    if best.status == "FAILED":
        return Dot(place, "FAILED", why="S3 has given it up: its details say why")
    return Dot(place, "ABSENT", why="it is not here, and the catalog has not heard of it: its details say why")
