"""What `GET /api/replicas/status` and `GET /api/operations/log` answer: lists of the catalog, page by page."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Protocol

import msgspec

from nearside import operations_log
from nearside.access import Caller, Policy
from nearside.errors import BadCursor, BadRequest, NearsideError
from nearside.failure_reasons import cause
from nearside.listing import Cursor, Cursors
from nearside.operations_log import KEEP_SECONDS, ReadsOperations, Wanted
from nearside.places import Place
from nearside.work import ListsWork, Work, WorkState

MAX_LIMIT = 1_000
DEFAULT_LIMIT = 100
GATEWAY = "gateway/"  # no place's name has a slash

type Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)]
type Text = Annotated[str, msgspec.Meta(max_length=4096)]
type Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class StatusAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of `GET /api/replicas/status`."""

    state: Literal["PENDING", "FAILED"] | None = None
    place: str | None = None
    limit: Limit = DEFAULT_LIMIT
    cursor: Text | None = None


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A replica that is pending or has failed; `due` is when its version was made, or when it failed.

    One of the gateway has its `bucket`: there `version` is the generation's id, `due` when it is tried next, `attempts`
    how often it failed, `why` what the place said last; with `marker` the object was deleted and is to be removed."""

    key: str
    version: str
    place: str
    state: WorkState
    due: datetime
    bucket: str = ""
    attempts: int = 0
    marker: bool = False
    overdue: bool = False
    rule: str | None = None
    reason: str | None = None
    why: str | None = None
    fix: str | None = None


class ReplicaStatuses(msgspec.Struct, frozen=True, omit_defaults=True):
    """Replicas that are not where they should be, failed ones first, and then the gateway's, object by object. `cursor`
    leads to the next page and is absent on the last; `unknown` says which places' lists could not be read, and why."""

    replicas: list[ReplicaStatus]
    cursor: str | None = None
    unknown: list[str] = []


class LogAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of `GET /api/operations/log`; times in ISO 8601 with an offset or Z."""

    key: str | None = None
    place: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Limit = DEFAULT_LIMIT
    cursor: Text | None = None


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was done, and in words what came of it; `bucket` is one of the gateway's."""

    at: datetime
    action: str
    key: str = ""
    place: str = ""
    version: str = ""
    detail: str = ""
    bucket: str = ""


class Operations(msgspec.Struct, frozen=True, omit_defaults=True):
    """Operations, newest first. A page may be empty and yet have a `cursor`: what a filter leaves out was read too."""

    operations: list[Operation]
    cursor: str | None = None


class GatewayPage(msgspec.Struct, frozen=True):
    """Copies of the gateway, and the cursor of the next page (None: there is none). A page may be empty and yet have
    one: what a filter leaves out was read too."""

    copies: Sequence[ReplicaStatus]
    cursor: str | None = None


class ListsCopies(Protocol):
    """The gateway's copies that are pending or have failed."""

    @property
    def places(self) -> Sequence[str]:
        """The names of its places."""
        ...

    def page(self, place: str | None, state: WorkState | None, limit: int, cursor: str | None) -> GatewayPage:
        """Copies in that place and state (None: any): `limit`, or a few more, since an object's stay together. Raises
        Unreachable, Refused, or BadCursor for a cursor that no page gave."""
        ...


class WorkLists(msgspec.Struct, frozen=True):
    """Reads the lists for callers who may read the whole bucket, or the key they ask for. `gateway` is None where there
    is none."""

    places: Sequence[Place]
    work: ListsWork
    log: ReadsOperations
    policy: Policy
    cursors: Cursors
    gateway: ListsCopies | None = None

    def status(self, asked: StatusAsked, caller: Caller) -> ReplicaStatuses:
        """A page of pending and failed replicas. Raises Refused, BadRequest, BadCursor; Unreachable when the one place
        that was asked for does not answer."""
        self.policy.check(caller, "read", "")
        lists = self._lists(asked)
        number, token = self._opened(asked, lists)
        found: list[ReplicaStatus] = []
        unknown: list[str] = []
        while number < len(lists) and len(found) < asked.limit:
            state, name = lists[number]
            try:
                rows, token = self._page(asked, state, name, asked.limit - len(found), token)
            except BadCursor:
                raise
            except NearsideError as error:
                if len({name for _, name in lists}) == 1:
                    raise
                unknown.append(f"{name}: {error}")
                number, token = number + 1, None
                continue
            found += rows
            number += token is None
        cursor = None
        if number < len(lists):
            cursor = self.cursors.sealed(Cursor(asked.place or "", _scope(asked), f"{number} {token or ''}"))
        return ReplicaStatuses(found, cursor, unknown)

    def _lists(self, asked: StatusAsked) -> list[tuple[WorkState, str]]:
        """By state and place; the gateway has one list for all."""
        names = [place.name for place in self.places]
        of_gateway = self.gateway.places if self.gateway else ()
        if asked.place is not None and asked.place not in (*names, *of_gateway):
            raise BadRequest(f"place is {asked.place!r}: expected one of {', '.join((*names, *of_gateway))}")
        states: Sequence[WorkState] = [asked.state] if asked.state else ("FAILED", "PENDING")
        lists = [(state, name) for state in states for name in names if asked.place in (None, name)]
        if of_gateway and (asked.place is None or asked.place in of_gateway):
            lists.append((states[0], GATEWAY))
        return lists

    def _page(
        self, asked: StatusAsked, state: WorkState, name: str, limit: int, token: str | None
    ) -> tuple[Sequence[ReplicaStatus], str | None]:
        if name == GATEWAY and self.gateway:
            found = self.gateway.page(asked.place, asked.state, limit, token)
            return found.copies, found.cursor
        page = self.work.page(name, state, limit, token)
        return [_status(work) for work in page.works], page.cursor

    def _opened(self, asked: StatusAsked, lists: Sequence[object]) -> tuple[int, str | None]:
        if asked.cursor is None:
            return 0, None
        cursor = self.cursors.opened(asked.cursor)
        if (cursor.place, cursor.prefix) != (asked.place or "", _scope(asked)):
            raise BadCursor("the cursor belongs to another state or place")
        number, _, token = cursor.token.partition(" ")
        if int(number) >= len(lists):
            raise BadCursor("the cursor belongs to places that are no more")
        return int(number), token or None

    def operations(self, asked: LogAsked, caller: Caller, now: float) -> Operations:
        """A page of the operations log (`now` in seconds since the epoch). Raises Refused, BadRequest, BadCursor,
        Unreachable."""
        self.policy.check(caller, "read", asked.key or "")
        until = _milliseconds(asked.until) if asked.until else int(now * 1000) + 1
        since = _milliseconds(asked.since) if asked.since else until - KEEP_SECONDS * 1000
        wanted = Wanted(since=since, until=until, key=asked.key, place=asked.place)
        token = None
        if asked.cursor is not None:
            cursor = self.cursors.opened(asked.cursor)
            wanted = _wanted(cursor, asked)
            token = cursor.token
        if wanted.since >= wanted.until:
            raise BadRequest(f"since is {asked.since}: expected a time before until")
        page = self.log(wanted, asked.limit, token)
        sealed = None
        if page.cursor is not None:
            scope = msgspec.json.encode(wanted).decode()
            sealed = self.cursors.sealed(Cursor(asked.place or "", f"log {scope}", page.cursor))
        return Operations([_operation(entry) for entry in page.entries], sealed)


def _scope(asked: StatusAsked) -> str:
    return f"status {asked.state or ''}"


def _wanted(cursor: Cursor, asked: LogAsked) -> Wanted:
    """What the first page was asked for: the cursor goes on in the same span of time."""
    kind, _, scope = cursor.prefix.partition(" ")
    if kind != "log":
        raise BadCursor("the cursor belongs to another list")
    wanted = msgspec.json.decode(scope, type=Wanted)
    if (wanted.key, wanted.place) != (asked.key, asked.place):
        raise BadCursor("the cursor belongs to another key or place")
    return wanted


def _status(work: Work) -> ReplicaStatus:
    known = cause(work.reason or "") if work.state == "FAILED" else None
    return ReplicaStatus(
        key=work.key,
        version=work.version,
        place=work.place,
        state=work.state,
        due=datetime.fromtimestamp(work.due / 1000, UTC),
        marker=work.marker,
        overdue=work.overdue,
        rule=work.rule,
        reason=work.reason,
        why=known.what if known else None,
        fix=known.fix if known else None,
    )


def _operation(entry: operations_log.Entry) -> Operation:
    return Operation(
        at=datetime.fromtimestamp(entry.at / 1000, UTC),
        action=entry.action,
        key=entry.key,
        place=entry.place,
        version=entry.version,
        detail=entry.detail,
        bucket=entry.bucket,
    )


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
