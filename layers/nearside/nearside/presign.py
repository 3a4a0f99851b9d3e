"""Which URL an object gets: the MRAP's when every place has its newest version, else the nearest place's that has."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from nearside import signing
from nearside.access import ACTION_OF_METHOD, Caller, Policy
from nearside.errors import BadRequest, Missing, MissingVersion, NearsideError, Refused, Unreachable
from nearside.items import Failed, Item, Presigned, Presigns
from nearside.places import Mrap, Place, Viewer, nearest_first
from nearside.replicas import (
    Absent,
    Denied,
    Findings,
    FindsReplicas,
    Held,
    Known,
    Question,
    ReadsCatalog,
    Silent,
    having,
    newest,
)

type Where = Findings | Literal["everywhere"]
"""Where an object is: in every place in its newest version, or what was found of each place."""

_EVERYWHERE = "every place has the newest version"
_NOTHING = Known(frozenset(), {})


class Route(msgspec.Struct, frozen=True):
    """Where a URL leads (None: the MRAP), why, and when it may lead to the MRAP, if that can be told."""

    place: Place | None
    reason: str
    ready_at: datetime | None = None


class Presigner(msgspec.Struct, frozen=True):
    """Decides and signs. `places` has the primary first; `mrap` is None when URLs are pinned to the primary
    (`USE_MRAP=false`). What `catalog` (if there is one) does not know to be everywhere, `find` asks the places."""

    places: tuple[Place, ...]
    mrap: Mrap | None
    credentials: Callable[[], signing.Credentials]
    find: FindsReplicas
    policy: Policy
    catalog: ReadsCatalog | None = None

    def one(self, item: Item, caller: Caller, viewer: Viewer | None, now: float) -> Presigned:
        """The URL of one item. Raises Refused, Missing, BadRequest or NoCredentials."""
        answer = self._all([item], caller, viewer, now)[0]
        if isinstance(answer, NearsideError):
            raise answer
        return answer

    def many(
        self, items: Sequence[Item | NearsideError], caller: Caller, viewer: Viewer | None, now: float
    ) -> Presigns:
        """A URL or a failure for each item, in order; an item that is an error already is answered with it."""
        answers = self._all(items, caller, viewer, now)
        return Presigns([failed(a) if isinstance(a, NearsideError) else a for a in answers])

    def _all(
        self, items: Sequence[Item | NearsideError], caller: Caller, viewer: Viewer | None, now: float
    ) -> list[Presigned | NearsideError]:
        desk = _Desk(self, self.credentials(), viewer, now)
        allowed = [self._allowed(item, caller) for item in items]
        asked = [item for item in allowed if isinstance(item, Item) and _wants_check(item)]
        found = iter(self._found(asked, desk))
        answers: list[Presigned | NearsideError] = []
        for item in allowed:
            if isinstance(item, NearsideError):
                answers.append(item)
                continue
            where = next(found) if _wants_check(item) else None
            try:
                answers.append(desk.presigned(item, desk.route(item, where)))
            except NearsideError as error:
                answers.append(error)
        return answers

    def _found(self, asked: Sequence[Item], desk: "_Desk") -> Sequence[Where]:
        """Where each item is. The catalog's word is taken for what is everywhere, and for nothing else: what is on its
        way, deleted somewhere, or not known yet, the places are asked."""
        everywhere = self._known(asked, desk).everywhere
        found: list[Where | None] = [
            "everywhere" if item.version_id is None and item.key in everywhere else None for item in asked
        ]
        unknown = [
            Question(item.key, item.version_id, self._asked_places(item))
            for item, where in zip(asked, found, strict=True)
            if where is None
        ]
        answers = iter(self.find(unknown) if unknown else ())
        return [next(answers) if where is None else where for where in found]

    def _known(self, asked: Sequence[Item], desk: "_Desk") -> Known:
        keys = [item.key for item in asked if item.version_id is None]
        if self.catalog is None or not keys:
            return _NOTHING
        try:
            known = self.catalog(keys, [place.name for place in self.places])
        except (Unreachable, Refused) as error:
            desk.note = f" ({error}, so the places were asked)"
            return _NOTHING
        desk.lag_ms = known.lag_ms
        return known

    def _allowed(self, item: Item | NearsideError, caller: Caller) -> Item | NearsideError:
        if isinstance(item, NearsideError):
            return item
        try:
            self.policy.check(caller, ACTION_OF_METHOD[item.method], item.key)
            if item.method == "PUT":
                self._check_limits(item, caller)
            if item.place is not None:
                self.named(item.place)
        except NearsideError as error:
            return error
        return item

    def _check_limits(self, item: Item, caller: Caller) -> None:
        """What the policy takes there: it is signed, so that S3 holds the client to it. A part says nothing of the
        whole, so whoever has limits gets parts from `POST /uploads`, which looks at the whole."""
        if item.upload_id is None:
            named = ("content_length", "content_type")
            self.policy.check_write(caller, item.key, item.content_length, item.content_type, named)
        elif self.policy.limits_writes(caller, item.key):
            raise Refused(f"the policy limits what {caller.name} may write to {item.key!r}: upload it by POST /uploads")

    def named(self, name: str) -> Place:
        """The place of that name. Raises BadRequest, naming those there are."""
        for place in self.places:
            if place.name == name:
                return place
        raise BadRequest(f"place is {name!r}: expected one of {', '.join(place.name for place in self.places)}")

    def _asked_places(self, item: Item) -> Sequence[Place]:
        if item.place is not None:
            return [self.named(item.place)]
        return self.places if self.mrap else self.places[:1]


class _Desk:
    """One request's work: its instant, its viewer, and a signer for each way out."""

    def __init__(self, presigner: Presigner, credentials: signing.Credentials, viewer: Viewer | None, now: float):
        self.presigner = presigner
        self.credentials = credentials
        self.now = now
        self.nearest = nearest_first(presigner.places, viewer)
        self.signers: dict[str | None, signing.Signer] = {}
        self.ends: dict[int, tuple[int, datetime]] = {}
        self.note = ""  # what there is to say of the catalog
        self.lag_ms: Mapping[str, int] = {}

    def route(self, item: Item, where: Where | None) -> Route:
        """Where the item's URL leads. Raises Missing or Refused."""
        by_contents = item.place is None and self.presigner.mrap
        if where == "everywhere":
            return Route(None, _EVERYWHERE) if by_contents else self._regardless(item)
        if where is None:
            return self._regardless(item)
        held = newest(where)
        if held is None:
            return self._in_doubt(item, where)
        return self._by_contents(held, where) if by_contents else self._regardless(item)

    def _regardless(self, item: Item) -> Route:
        """Where a URL leads when it does not matter, or was not asked, which places have the object."""
        primary = self.presigner.places[0]
        if item.place is not None:
            return Route(self.presigner.named(item.place), "pinned, as asked")
        if item.upload_id is not None:
            return Route(primary, "a multipart upload lives in one region; give its place to pin another")
        if item.method == "DELETE" and item.version_id is not None:
            return Route(primary, "deletes of a version are not replicated; give a place to pin another")
        if self.presigner.mrap is None:
            return Route(primary, "USE_MRAP is false: every URL leads to the primary")
        if item.method in ("PUT", "DELETE"):
            return Route(None, "the region nearest to the client takes it")
        return Route(None, "not checked: a region without the object answers 404")

    def _by_contents(self, held: Held, findings: Findings) -> Route:
        names = having(findings, held)
        if len(names) == len(findings):
            return Route(None, _EVERYWHERE + self.note)
        place = next(place for place in self.nearest if place.name in names)
        without = [name for name in findings if name not in names]
        why = "; ".join(_why_not(name, findings) for name in without)
        return Route(place, f"{why}{self.note}", self._ready_at(held, findings, without))

    def _in_doubt(self, item: Item, where: Findings) -> Route:
        """A place that did not answer, when none is known to have the object: it may have it, and a URL that works once
        the place answers again is worth more than none. The primary before all, so that what is only there is had as it
        would be without us; else the nearest. Raises Missing when every place said that it has none, Refused when the
        primary refused to say, or another while the primary has none."""
        primary = self.presigner.places[0]
        denied = {name: f.why for name, f in where.items() if isinstance(f, Denied)}
        silent = {name: f.why for name, f in where.items() if isinstance(f, Silent)}
        if denied and primary.name not in silent:
            detail = "; ".join(f"{name} {why}" for name, why in denied.items())
            raise Refused(f"cannot tell where {item.key!r} is: {detail}")
        if silent:
            place = next(place for place in (primary, *self.nearest) if place.name in silent)
            said = [_why_not(name, where) for name in where]
            return Route(place, f"no place is known to have it: {'; '.join(said)}{self.note}")
        nowhere = f"not in {', '.join(where)}"
        if item.version_id is not None:
            raise MissingVersion(f"version {item.version_id!r} of {item.key!r} is {nowhere}")
        raise Missing(f"{item.key!r} is {nowhere}")

    def _ready_at(self, held: Held, findings: Findings, without: Sequence[str]) -> datetime | None:
        """When every place should have the version, by the lag that was measured; None when nothing is known of a
        place, or when it should have been already."""
        if not all(isinstance(findings[name], Held | Absent) and name in self.lag_ms for name in without):
            return None
        ready = held.last_modified + max(self.lag_ms[name] for name in without) / 1000
        return datetime.fromtimestamp(math.ceil(ready), UTC) if ready > self.now else None

    def presigned(self, item: Item, route: Route) -> Presigned:
        lifetime, end = self._lifetime(item.expires_in)
        headers = item.headers()
        way_out = route.place or self.presigner.mrap
        assert way_out is not None  # route() answers None only with an MRAP
        url = self._signer(route.place).presign(
            item.method, way_out.base, item.key, lifetime, query=item.query(), headers=headers
        )
        name = route.place.name if route.place else "mrap"
        return Presigned(item.key, url, item.method, headers, end, name, route.reason, route.ready_at)

    def _lifetime(self, asked: int) -> tuple[int, datetime]:
        if asked not in self.ends:
            seconds = signing.lifetime_seconds(asked, self.credentials, self.now)
            self.ends[asked] = seconds, datetime.fromtimestamp(int(self.now) + seconds, UTC)
        return self.ends[asked]

    def _signer(self, place: Place | None) -> signing.Signer:
        region = place.region if place else None
        if region not in self.signers:
            self.signers[region] = (
                signing.V4(self.credentials, self.now, region) if region else signing.V4a(self.credentials, self.now)
            )
        return self.signers[region]


def failed(error: NearsideError) -> Failed:
    """The error as a batch answers it."""
    return Failed(error.code, str(error), error.status)


def _wants_check(item: Item) -> bool:
    return item.check and item.method in ("GET", "HEAD")


def _why_not(name: str, findings: Findings) -> str:
    match findings[name]:
        case Held():
            return f"{name} has another version"
        case Denied(why) | Silent(why):
            return f"{name} {why}"
        case Absent(deleted=True):
            return f"{name} has it deleted"
        case Absent():
            return f"{name} does not have it yet"
