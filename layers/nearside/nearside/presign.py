"""Which URL an object gets: the MRAP's when every place has its newest version, else the nearest place's that has."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from nearside import signing
from nearside.access import ACTION_OF_METHOD, Caller, Policy
from nearside.errors import BadRequest, Missing, MissingVersion, NearsideError, Refused, Unreachable
from nearside.items import Failed, Item, Presigned, Presigns
from nearside.places import Mrap, Place, Viewer, nearest_first
from nearside.replicas import Absent, Denied, Findings, FindsReplicas, Held, Question, Silent, having, newest


class Route(msgspec.Struct, frozen=True):
    """Where a URL leads (None: the MRAP), and why."""

    place: Place | None
    reason: str


class Presigner(msgspec.Struct, frozen=True):
    """Decides and signs. `places` has the primary first; `mrap` is None when URLs are pinned to the primary
    (`USE_MRAP=false`)."""

    places: tuple[Place, ...]
    mrap: Mrap | None
    credentials: Callable[[], signing.Credentials]
    find: FindsReplicas
    policy: Policy

    def one(self, item: Item, caller: Caller, viewer: Viewer | None, now: float) -> Presigned:
        """The URL of one item. Raises Refused, Missing, Unreachable, BadRequest or NoCredentials."""
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
        credentials = self.credentials()
        desk = _Desk(self, credentials, viewer, now)
        allowed = [self._allowed(item, caller) for item in items]
        asked = [item for item in allowed if isinstance(item, Item) and _wants_check(item)]
        questions = [Question(item.key, item.version_id, self._asked_places(item)) for item in asked]
        found = iter(self.find(questions) if questions else ())
        answers: list[Presigned | NearsideError] = []
        for item in allowed:
            if isinstance(item, NearsideError):
                answers.append(item)
                continue
            findings = next(found) if _wants_check(item) else None
            try:
                answers.append(desk.presigned(item, desk.route(item, findings)))
            except NearsideError as error:
                answers.append(error)
        return answers

    def _allowed(self, item: Item | NearsideError, caller: Caller) -> Item | NearsideError:
        if isinstance(item, NearsideError):
            return item
        try:
            self.policy.check(caller, ACTION_OF_METHOD[item.method], item.key)
            if item.place is not None:
                self.named(item.place)
        except NearsideError as error:
            return error
        return item

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

    def route(self, item: Item, findings: Findings | None) -> Route:
        """Where the item's URL leads. Raises Missing, Refused or Unreachable when no place is known to have it."""
        presigner = self.presigner
        primary = presigner.places[0]
        if findings is not None:
            held = newest(findings)
            if held is None:
                raise _not_found(item, findings)
            if item.place is None and presigner.mrap:
                return self._by_contents(held, findings)
        if item.place is not None:
            return Route(presigner.named(item.place), "pinned, as asked")
        if item.upload_id is not None:
            return Route(primary, "a multipart upload lives in one region; give its place to pin another")
        if item.method == "DELETE" and item.version_id is not None:
            return Route(primary, "deletes of a version are not replicated; give a place to pin another")
        if presigner.mrap is None:
            return Route(primary, "USE_MRAP is false: every URL leads to the primary")
        if item.method in ("PUT", "DELETE"):
            return Route(None, "the region nearest to the client takes it")
        return Route(None, "not checked: a region without the object answers 404")

    def _by_contents(self, held: Held, findings: Findings) -> Route:
        names = having(findings, held)
        if len(names) == len(findings):
            return Route(None, "every place has the newest version")
        place = next(place for place in self.nearest if place.name in names)
        return Route(place, "; ".join(_why_not(name, findings) for name in findings if name not in names))

    def presigned(self, item: Item, route: Route) -> Presigned:
        lifetime, end = self._lifetime(item.expires_in)
        headers = item.headers()
        way_out = route.place or self.presigner.mrap
        assert way_out is not None  # route() answers None only with an MRAP
        url = self._signer(route.place).presign(
            item.method, way_out.base, item.key, lifetime, query=item.query(), headers=headers
        )
        name = route.place.name if route.place else "mrap"
        return Presigned(item.key, url, item.method, headers, end, name, route.reason)

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


def _not_found(item: Item, findings: Findings) -> NearsideError:
    """Missing only when every place said so: a place that refused or is silent may have the object."""
    unknown = {name: f.why for name, f in findings.items() if isinstance(f, Denied | Silent)}
    detail = "; ".join(f"{name} {why}" for name, why in unknown.items())
    if any(isinstance(finding, Denied) for finding in findings.values()):
        return Refused(f"cannot tell where {item.key!r} is: {detail}")
    if unknown:
        return Unreachable(f"cannot tell where {item.key!r} is: {detail}")
    where = f"not in {', '.join(findings)}"
    if item.version_id is not None:
        return MissingVersion(f"version {item.version_id!r} of {item.key!r} is {where}")
    return Missing(f"{item.key!r} is {where}")
