"""What a bucket holds at one level: names as a folder would show them, whole or page by page."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol

import msgspec

from nearside.access import Caller, Policy
from nearside.errors import AnswerTooLarge, BadCursor, BadRequest, MissingPath
from nearside.places import Place
from nearside.sealing import NotOurs, Seal

MAX_LIMIT = 1_000  # S3's own page size: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
# What fits in Lambda's 6 MB answer, with room for the JSON envelope and its escapes (web.py makes the final check).
MAX_WHOLE_BYTES = 4 * 1024**2


class Object(msgspec.Struct, frozen=True):
    """One object of a listing, by its full key."""

    key: str
    size: int
    etag: str
    last_modified: datetime
    storage_class: str


class Level(msgspec.Struct, frozen=True):
    """One page of one level: folders (common prefixes, with their slash) and objects by full key, and S3's token for
    the next page when there is one."""

    folders: Sequence[str]
    objects: Sequence[Object]
    token: str | None

    @property
    def empty(self) -> bool:
        """Whether nothing is there, on this page or after it."""
        return not (self.folders or self.objects or self.token)


class ListsLevels(Protocol):
    """Asks one place for one page. Raises Refused, Unreachable or MissingBucket, and never gives an empty page for
    those."""

    def __call__(self, place: Place, prefix: str, limit: int, token: str | None) -> Level: ...

    def holds(self, place: Place, key: str) -> Object | None:
        """The object of exactly this key, or None when the place says that there is none."""
        ...


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One name with its details. A folder has only its name and type; `size` is in bytes."""

    name: str
    type: Literal["folder", "object"]
    size: int | None = None
    etag: str | None = None
    last_modified: datetime | None = None
    storage_class: str | None = None


class Listing(msgspec.Struct, frozen=True, omit_defaults=True):
    """Names at one level, folders with a slash at their end; with details, an entry each. `cursor` leads to the next
    page and is absent on the last."""

    content: list[str | Entry]
    cursor: str | None = None


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The query of a listing."""

    details: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] | None = None
    cursor: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    place: str | None = None
    prefix: str | None = None


class Explorer(msgspec.Struct, frozen=True):
    """Lists `places` (the primary first); `home` is the one asked unless a place or a cursor says otherwise."""

    places: Sequence[Place]
    home: Place
    levels: ListsLevels
    policy: Policy
    cursors: "Cursors"

    def list(self, path: str, asked: Asked, caller: Caller) -> Listing:
        """The names under `path` (`""` is the bucket's top, `a/b` or `a/b/` a folder).

        The path of an object gives that object's name. Without a limit every page is fetched. Raises MissingPath when
        nothing is there, AnswerTooLarge when it does not fit one answer, BadCursor, Refused, Unreachable.
        """
        if asked.prefix is not None:
            if path:
                raise BadRequest(f"prefix is {asked.prefix!r}: give a path or a prefix, not both")
            path = asked.prefix
        prefix = path if not path or path.endswith("/") else path + "/"
        self.policy.check(caller, "read", prefix)
        if asked.cursor is not None:
            return self._page(prefix, asked, caller, *self._opened(asked, prefix))
        place = self._named(asked.place)
        if asked.limit is not None:
            return self._page(prefix, asked, caller, place, None)
        return self._whole(prefix, asked, caller, place)

    def _page(self, prefix: str, asked: Asked, caller: Caller, place: Place, token: str | None) -> Listing:
        level = self.levels(place, prefix, asked.limit or MAX_LIMIT, token)
        if token is None and level.empty:
            return self._alone(prefix, asked, caller, place)
        cursor = self.cursors.sealed(Cursor(place.name, prefix, level.token)) if level.token else None
        return _listing(_entries(level, prefix), asked, cursor)

    def _whole(self, prefix: str, asked: Asked, caller: Caller, place: Place) -> Listing:
        entries: list[Entry] = []
        size, token = 0, None
        while True:
            level = self.levels(place, prefix, MAX_LIMIT, token)
            if token is None and level.empty:
                return self._alone(prefix, asked, caller, place)
            page = _entries(level, prefix)
            size += len(msgspec.json.encode(_listing(page, asked, None)))
            if size > MAX_WHOLE_BYTES:
                raise AnswerTooLarge(
                    f"{prefix or 'the bucket'} has more than {len(entries)} names, over the {MAX_WHOLE_BYTES} bytes "
                    "of one answer: ask with limit (1 to 1000), then with the cursor of each answer"
                )
            entries += page
            token = level.token
            if token is None:
                return _listing(entries, asked, None)

    def _alone(self, prefix: str, asked: Asked, caller: Caller, place: Place) -> Listing:
        """What an empty level is: the top of an empty bucket, an object's own path, or nothing at all.

        Who may read `a/` may not thereby read the object `a`, which is not under it.
        """
        if not prefix:
            return Listing([])
        path = prefix.removesuffix("/")
        found = self.levels.holds(place, path) if self.policy.allows(caller, "read", path) else None
        if found is None:
            raise MissingPath(f"Path '{path}' does not exist in the bucket")
        return _listing([_entry(found, path.rpartition("/")[2])], asked, None)

    def _named(self, name: str | None) -> Place:
        if name is None:
            return self.home
        for place in self.places:
            if place.name == name:
                return place
        raise BadRequest(f"place is {name!r}: expected one of {', '.join(place.name for place in self.places)}")

    def _opened(self, asked: Asked, prefix: str) -> tuple[Place, str]:
        cursor = self.cursors.opened(asked.cursor or "")
        if cursor.prefix != prefix:
            raise BadCursor(f"the cursor belongs to {cursor.prefix!r}, not to {prefix!r}")
        if asked.place is not None and asked.place != cursor.place:
            raise BadCursor(f"the cursor belongs to {cursor.place}, not to {asked.place}")
        try:
            return self._named(cursor.place), cursor.token
        except BadRequest as error:
            raise BadCursor(f"the cursor belongs to {cursor.place}, which is no place any more") from error


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where a listing goes on: S3's token only means something in the region that gave it, so the place is pinned."""

    place: str
    prefix: str
    token: str


class Cursors(msgspec.Struct, frozen=True):
    """Seals cursors with HMAC-SHA256, so that nobody can make one up or move one to another folder or region."""

    key: bytes

    def sealed(self, cursor: Cursor) -> str:
        """The cursor as URL-safe text."""
        return self._seal.sealed(msgspec.json.encode(cursor))

    def opened(self, text: str) -> Cursor:
        """The cursor that `sealed` gave. Raises BadCursor for anything else."""
        try:
            return msgspec.json.decode(self._seal.opened(text), type=Cursor)
        except NotOurs as error:
            raise BadCursor("cursor is not one of ours: start again without it") from error

    @property
    def _seal(self) -> Seal:
        return Seal(self.key, "nearside cursor")


def asked(query: Mapping[str, str]) -> Asked:
    """The query string of a listing. Raises BadRequest naming the parameter, its value and what is expected."""
    return asked_as(query, Asked)


def asked_as[T](query: Mapping[str, str], shape: type[T]) -> T:
    """The query string as `shape`. Raises BadRequest naming the parameter, its value and what is expected."""
    try:
        return msgspec.convert(dict(query), shape, strict=False)
    except msgspec.ValidationError as error:
        name = str(error).rpartition("`$.")[2].rstrip("`")
        shown = f"{name} is {query[name][:80]!r}: " if name in query else ""
        raise BadRequest(f"{shown}{error}") from error


def _entries(level: Level, prefix: str) -> list[Entry]:
    """Folders and objects by their names at this level, in key order; a folder's own marker object is not in itself."""
    entries = [Entry(folder.removeprefix(prefix), "folder") for folder in level.folders]
    entries += [_entry(found, found.key.removeprefix(prefix)) for found in level.objects if found.key != prefix]
    return sorted(entries, key=lambda entry: entry.name)


def _entry(found: Object, name: str) -> Entry:
    return Entry(name, "object", found.size, found.etag, found.last_modified, found.storage_class)


def _listing(entries: list[Entry], asked: Asked, cursor: str | None) -> Listing:
    return Listing([entry if asked.details else entry.name for entry in entries], cursor)
