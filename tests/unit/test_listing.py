"""What a bucket holds at one level: folders, pages, cursors, and who may see it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside import listing
from nearside.access import Caller, Policy, Rule
from nearside.errors import AnswerTooLarge, BadCursor, BadRequest, MissingPath, Refused
from nearside.listing import Asked, Cursor, Cursors, Entry, Explorer, Level, Object
from nearside.places import Place
from tests.unit.fakes import LONDON, OHIO

ROOT = Caller("root", trusted=True)
ALICE = Caller("alice", trusted=False, claims={"sub": "alice"})
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECRET = b"0123456789abcdef"


def made(key: str) -> Object:
    return Object(key, len(key), "e" + key, NOON, "STANDARD")


@dataclass
class FakeLevels:
    """A bucket of keys, the same in every place, paged as S3 does. Implements `nearside.listing.ListsLevels`."""

    keys: Sequence[str]
    asked: list[tuple[str, str, int, str | None]] = field(default_factory=list)
    held: list[str] = field(default_factory=list)

    def __call__(self, place: Place, prefix: str, limit: int, token: str | None) -> Level:
        self.asked.append((place.name, prefix, limit, token))
        names = {
            prefix + head + slash
            for key in self.keys
            if key.startswith(prefix)
            for head, slash, _ in [key.removeprefix(prefix).partition("/")]
        }
        left = sorted(name for name in names if token is None or name > token)
        page = left[:limit]
        folders = [name for name in page if name.endswith("/") and name not in self.keys]
        folders += [name for name in page if name in self.keys and name.endswith("/") and name != prefix]
        objects = [made(name) for name in page if name not in folders]
        return Level(sorted(folders), objects, page[-1] if len(left) > limit else None)

    def holds(self, place: Place, key: str) -> Object | None:
        self.held.append(key)
        return made(key) if key in self.keys else None


def explorer(*keys: str, rules: Sequence[Rule] = (), levels: FakeLevels | None = None) -> Explorer:
    return Explorer((LONDON, OHIO), LONDON, levels or FakeLevels(keys), Policy(rules), Cursors(SECRET))


def names(answer: listing.Listing) -> list[Any]:
    return [entry.name if isinstance(entry, Entry) else entry for entry in answer.content]


KEYS = ("a.txt", "docs/", "docs/one.txt", "docs/sub/two.txt", "img/x.png", "z")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("", ["a.txt", "docs/", "img/", "z"]),
        ("docs", ["one.txt", "sub/"]),
        ("docs/", ["one.txt", "sub/"]),
        ("docs/sub", ["two.txt"]),
        ("img", ["x.png"]),
        ("a.txt", ["a.txt"]),
        ("img/x.png", ["x.png"]),
    ],
)
def test_a_level_is_its_names(path: str, content: list[str]) -> None:
    assert names(explorer(*KEYS).list(path, Asked(), ROOT)) == content


def test_the_top_of_an_empty_bucket_is_empty() -> None:
    assert explorer().list("", Asked(), ROOT).content == []


def test_a_folder_that_only_has_its_marker_is_empty() -> None:
    assert explorer("empty/").list("empty", Asked(), ROOT).content == []


@pytest.mark.parametrize("asked", [Asked(), Asked(limit=5), Asked(details=True)])
def test_a_path_that_is_not_there_is_404_in_its_own_words(asked: Asked) -> None:
    with pytest.raises(MissingPath) as caught:
        explorer(*KEYS).list("demo", asked, ROOT)
    assert caught.value.answer() == {"error": "Path 'demo' does not exist in the bucket"}


def test_a_key_that_only_begins_like_the_path_does_not_make_it_exist() -> None:
    with pytest.raises(MissingPath):
        explorer("demonstration").list("demo", Asked(), ROOT)


def test_a_file_and_a_folder_of_one_name_are_told_apart() -> None:
    assert names(explorer("a", "a/b").list("", Asked(), ROOT)) == ["a", "a/"]
    assert names(explorer("a", "a/b").list("a", Asked(), ROOT)) == ["b"]


def test_details_of_objects_and_folders() -> None:
    content = explorer("f/x", "y").list("", Asked(details=True), ROOT).content
    assert content == [Entry("f/", "folder"), Entry("y", "object", 1, "ey", NOON, "STANDARD")]
    [alone] = explorer("f/x").list("f/x", Asked(details=True), ROOT).content
    assert alone == Entry("x", "object", 3, "ef/x", NOON, "STANDARD")


def test_a_prefix_is_another_way_to_say_the_path() -> None:
    assert names(explorer(*KEYS).list("", Asked(prefix="docs/sub"), ROOT)) == ["two.txt"]
    assert names(explorer("a//b").list("", Asked(prefix="a//"), ROOT)) == ["b"]
    with pytest.raises(BadRequest, match="give a path or a prefix, not both"):
        explorer(*KEYS).list("docs", Asked(prefix="docs"), ROOT)


def test_without_a_limit_every_page_is_fetched() -> None:
    levels = FakeLevels([f"k{n:04}" for n in range(2_500)])
    answer = explorer(levels=levels).list("", Asked(), ROOT)
    assert names(answer) == list(levels.keys)
    assert answer.cursor is None
    assert [limit for _, _, limit, _ in levels.asked] == [1000, 1000, 1000]


def test_what_does_not_fit_one_answer_is_413_and_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_WHOLE_BYTES", 20_000)
    levels = FakeLevels([f"k{n:06}" for n in range(5_000)])
    with pytest.raises(AnswerTooLarge, match=r"over the 20000 bytes.*limit \(1 to 1000\).*cursor"):
        explorer(levels=levels).list("", Asked(), ROOT)
    assert len(levels.asked) == 2  # and it stops asking
    assert len(explorer(levels=levels).list("", Asked(limit=1000), ROOT).content) == 1000


@given(
    keys=st.sets(st.text("ab/", min_size=1, max_size=6), max_size=25),
    limit=st.integers(1, 5),
    path=st.sampled_from(["", "a", "a/b", "b/"]),
)
def test_the_pages_of_a_level_together_are_the_whole_of_it(keys: set[str], limit: int, path: str) -> None:
    levels = FakeLevels(sorted(keys))
    try:
        whole = names(explorer(levels=levels).list(path, Asked(), ROOT))
    except MissingPath:
        with pytest.raises(MissingPath):
            explorer(levels=levels).list(path, Asked(limit=limit), ROOT)
        return
    paged, cursor = [], None
    while True:
        answer = explorer(levels=levels).list(path, Asked(limit=limit, cursor=cursor), ROOT)
        assert len(answer.content) <= limit
        paged += names(answer)
        cursor = answer.cursor
        if cursor is None:
            break
    assert paged == whole


def first_cursor(asking: Explorer, place: str | None = None) -> str:
    cursor = asking.list("docs", Asked(limit=1, place=place), ROOT).cursor
    assert cursor is not None
    return cursor


def test_a_cursor_goes_on_in_the_region_that_gave_it() -> None:
    levels = FakeLevels(KEYS)
    asking = explorer(levels=levels)
    cursor = first_cursor(asking, "us-east-2")
    asking.list("docs", Asked(limit=7, cursor=cursor), ROOT)
    assert [(place, prefix, limit) for place, prefix, limit, _ in levels.asked] == [
        ("us-east-2", "docs/", 1),
        ("us-east-2", "docs/", 7),
    ]
    assert levels.asked[1][3] == "docs/"


def test_a_cursor_is_of_one_folder_and_one_place() -> None:
    asking = explorer(*KEYS)
    cursor = first_cursor(asking)
    with pytest.raises(BadCursor, match="belongs to 'docs/', not to 'img/'"):
        asking.list("img", Asked(cursor=cursor), ROOT)
    with pytest.raises(BadCursor, match="belongs to eu-west-2, not to us-east-2"):
        asking.list("docs", Asked(cursor=cursor, place="us-east-2"), ROOT)
    fewer = Explorer((OHIO,), OHIO, FakeLevels(KEYS), Policy(), Cursors(SECRET))
    with pytest.raises(BadCursor, match="belongs to eu-west-2, which is no place any more"):
        fewer.list("docs", Asked(cursor=cursor), ROOT)


def test_a_cursor_of_another_key_is_refused() -> None:
    cursor = Cursors(b"another key, as long").sealed(Cursor("eu-west-2", "docs/", "t"))
    with pytest.raises(BadCursor, match="not one of ours"):
        explorer(*KEYS).list("docs", Asked(cursor=cursor), ROOT)


@given(
    place=st.text(max_size=10),
    prefix=st.text(max_size=20),
    token=st.text(max_size=40),
    at=st.integers(0),
    flip=st.integers(1, 255),
)
def test_a_cursor_opens_as_it_was_sealed_and_not_with_one_byte_changed(
    place: str, prefix: str, token: str, at: int, flip: int
) -> None:
    cursors = Cursors(SECRET)
    sealed = cursors.sealed(Cursor(place, prefix, token))
    assert cursors.opened(sealed) == Cursor(place, prefix, token)
    raw = bytearray(base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)))
    raw[at % len(raw)] ^= flip
    with pytest.raises(BadCursor):
        cursors.opened(base64.urlsafe_b64encode(raw).decode())


@given(st.text(max_size=60) | st.text("abcXYZ019-_=", max_size=60))
def test_anything_else_is_no_cursor(text: str) -> None:
    with pytest.raises(BadCursor):
        Cursors(SECRET).opened(text)


def test_the_place_is_home_or_the_one_asked_for() -> None:
    levels = FakeLevels(KEYS)
    asking = Explorer((LONDON, OHIO), OHIO, levels, Policy(), Cursors(SECRET))
    asking.list("", Asked(), ROOT)
    asking.list("", Asked(place="eu-west-2"), ROOT)
    assert [place for place, *_ in levels.asked] == ["us-east-2", "eu-west-2"]
    with pytest.raises(BadRequest, match="place is 'mars': expected one of eu-west-2, us-east-2"):
        asking.list("", Asked(place="mars"), ROOT)


OWN_FOLDER = Rule("sub", ["users/${sub}/"], ["read"])


@pytest.mark.parametrize("path", ["", "users", "users/", "users/bob", "users/alicette", "docs"])
def test_a_prefix_outside_the_callers_policy_is_refused_unasked(path: str) -> None:
    levels = FakeLevels(["users/alice/a", "users/bob/b", "users/alicette/c", "docs/d"])
    with pytest.raises(Refused, match="alice may not read"):
        explorer(rules=[OWN_FOLDER], levels=levels).list(path, Asked(), ALICE)
    assert levels.asked == []


def test_a_callers_own_folder_is_listed() -> None:
    asking = explorer("users/alice/a", rules=[OWN_FOLDER])
    for path in ("users/alice", "users/alice/", "users/alice/a"):
        assert names(asking.list(path, Asked(), ALICE)) == ["a"]


def test_a_cursor_does_not_open_another_callers_folder() -> None:
    asking = explorer("users/bob/1", "users/bob/2", rules=[OWN_FOLDER])
    cursor = asking.list("users/bob", Asked(limit=1), ROOT).cursor
    with pytest.raises(Refused):
        asking.list("users/bob", Asked(cursor=cursor), ALICE)


def test_an_object_named_as_the_callers_folder_is_not_in_it() -> None:
    levels = FakeLevels(["users/alice"])
    with pytest.raises(MissingPath):
        explorer(rules=[OWN_FOLDER], levels=levels).list("users/alice", Asked(details=True), ALICE)
    assert levels.held == []


def test_an_empty_first_page_with_a_token_is_not_the_end() -> None:
    class Sparse(FakeLevels):
        def __call__(self, place: Place, prefix: str, limit: int, token: str | None) -> Level:
            return Level((), (), "more") if token is None else Level((), [made("a/x")], None)

    levels = Sparse(["a/x"])
    assert names(explorer(levels=levels).list("a", Asked(), ROOT)) == ["x"]
    assert explorer(levels=levels).list("a", Asked(limit=5), ROOT).cursor is not None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": "0"}, "limit is '0': "),
        ({"limit": "1001"}, "limit is '1001': "),
        ({"limit": "ten"}, "limit is 'ten': "),
        ({"limit": ""}, "limit is '': "),
        ({"details": "maybe"}, "details is 'maybe': "),
        ({"cursor": "x" * 5000}, f"cursor is '{'x' * 80}': expected"),
        ({"sort": "name"}, "unknown field `sort`"),
    ],
)
def test_a_bad_query_is_named(query: dict[str, str], words: str) -> None:
    with pytest.raises(BadRequest) as caught:
        listing.asked(query)
    assert words.lower() in str(caught.value).lower()


def test_a_good_query_is_read() -> None:
    assert listing.asked({}) == Asked()
    query = {"details": "true", "limit": "1000", "cursor": "c", "place": "eu-west-2", "prefix": "a b/"}
    assert listing.asked(query) == Asked(True, 1000, "c", "eu-west-2", "a b/")
