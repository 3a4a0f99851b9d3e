"""The decision of presign: every combination of what the places say, and what the URL then is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.access import Caller, Policy, Rule
from nearside.errors import BadRequest, Missing, MissingVersion, NearsideError, NoCredentials, Refused
from nearside.items import Failed, Item, Presigned
from nearside.places import Place, Viewer
from nearside.presign import Presigner
from nearside.replicas import Finding, FindsReplicas, Held
from nearside.signing import Credentials
from tests.unit.fakes import ABSENT, DELETED, DENIED, LONDON, MRAP, NEWEST, OHIO, OLDER, SILENT, TOKYO, FakeReplicas

NOW = 1_795_132_801.417
ROOT = Caller("root", trusted=True)
NEAR_OHIO, NEAR_TOKYO = Viewer(41, -87), Viewer(36, 140)
FINDINGS: Mapping[str, Finding] = {
    "newest": NEWEST,
    "older": OLDER,
    "absent": ABSENT,
    "deleted": DELETED,
    "denied": DENIED,
    "silent": SILENT,
}


def presigner(
    places: Sequence[Place] = (LONDON, OHIO),
    find: FindsReplicas | None = None,
    *,
    use_mrap: bool = True,
    credentials: Credentials | None = None,
    rules: Sequence[Rule] = (),
) -> Presigner:
    own = credentials or Credentials("AKID", "secret")
    mrap = MRAP if use_mrap else None
    return Presigner(tuple(places), mrap, lambda: own, find or FakeReplicas(otherwise=NEWEST), Policy(rules))


def route(asked: Presigner, item: Item, viewer: Viewer | None = None) -> str:
    """The route that the item gets, having looked that the URL leads there; or the name of its error."""
    try:
        answer = asked.one(item, ROOT, viewer, NOW)
    except NearsideError as error:
        return type(error).__name__
    host = urlsplit(answer.url).netloc
    hosts = {"mrap": "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"}
    hosts |= {place.name: f"{place.bucket}.s3.{place.region}.amazonaws.com" for place in asked.places}
    assert host == hosts[answer.route]
    algorithm = "AWS4-ECDSA-P256-SHA256" if answer.route == "mrap" else "AWS4-HMAC-SHA256"
    assert signed_query(answer)["X-Amz-Algorithm"] == algorithm
    return answer.route


def signed_query(answer: Presigned) -> dict[str, str]:
    parsed = parse_qs(urlsplit(answer.url).query, strict_parsing=True)
    return {name: value for name, [value] in parsed.items()}


def expected(states: Mapping[str, str], nearest: Sequence[str]) -> str:
    """The decision in other words than the code's: states by place, places nearest first."""
    having = [name for name, state in states.items() if state == ("newest" if "newest" in states.values() else "older")]
    if having:
        return "mrap" if len(having) == len(states) else next(name for name in nearest if name in having)
    if states["eu-west-2"] == "silent":
        return "eu-west-2"
    if "denied" in states.values():
        return "Refused"
    return next((name for name in nearest if states[name] == "silent"), "Missing")


@pytest.mark.parametrize("viewer", [None, NEAR_OHIO, NEAR_TOKYO], ids=["unknown", "ohio", "tokyo"])
@pytest.mark.parametrize("places", [(LONDON, OHIO), (LONDON, OHIO, TOKYO)], ids=["two", "three"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_combination_of_what_the_places_say(method: Any, places: Sequence[Place], viewer: Viewer | None) -> None:
    names = [place.name for place in places]
    by_distance = {
        None: names,
        NEAR_OHIO: ["us-east-2", "eu-west-2", "ap-northeast-1"],
        NEAR_TOKYO: ["ap-northeast-1", "eu-west-2", "us-east-2"],
    }
    nearest = [name for name in by_distance[viewer] if name in names]
    for combination in product(FINDINGS, repeat=len(places)):
        states = dict(zip(names, combination, strict=True))
        find = FakeReplicas({"a": {name: FINDINGS[state] for name, state in states.items()}})
        assert route(presigner(places, find), Item(key="a", method=method), viewer) == expected(states, nearest), states


findings = st.one_of(
    st.sampled_from([ABSENT, DELETED, DENIED, SILENT]),
    st.builds(
        Held,
        version_id=st.sampled_from(["v1", "v2", "v3", "null", None]),
        etag=st.sampled_from(["e1", "e2"]),
        last_modified=st.integers(1, 3).map(float),
        status=st.sampled_from([None, "PENDING", "COMPLETED", "FAILED", "REPLICA"]),
    ),
)


@given(
    found=st.fixed_dictionaries({p.name: findings for p in (LONDON, OHIO, TOKYO)}),
    viewer=st.sampled_from([None, NEAR_OHIO]),
)
def test_missing_only_when_every_place_said_so_and_mrap_only_when_every_place_has_one_version(
    found: dict[str, Finding], viewer: Viewer | None
) -> None:
    where = route(presigner((LONDON, OHIO, TOKYO), FakeReplicas({"a": found})), Item(key="a"), viewer)
    held = {name: finding for name, finding in found.items() if isinstance(finding, Held)}
    assert (where == "Missing") == all(finding in (ABSENT, DELETED) for finding in found.values())
    assert (where == "Refused") == (not held and DENIED in found.values() and found["eu-west-2"] != SILENT)
    if where == "mrap":
        assert len(held) == 3
        assert len({finding.version for finding in held.values()}) == 1
    elif where in found:
        chosen = found[where]
        if not held:
            assert chosen == SILENT
            return
        assert isinstance(chosen, Held)
        last = max(finding.last_modified for finding in held.values())
        assert chosen.version in {finding.version for finding in held.values() if finding.last_modified == last}


def test_of_two_versions_in_one_second_the_one_still_to_be_copied_is_newest() -> None:
    fresh = Held("v2", "e2", 1_000.0, "PENDING")
    for old_status in ("COMPLETED", "REPLICA"):
        old = Held("v1", "e1", 1_000.0, old_status)
        find = FakeReplicas({"a": {"eu-west-2": old, "us-east-2": fresh}})
        assert route(presigner(find=find), Item(key="a")) == "us-east-2"


def test_objects_from_before_versioning_are_told_apart_by_their_etag() -> None:
    find = FakeReplicas({"a": {"eu-west-2": Held("null", "e2", 2.0), "us-east-2": Held("null", "e1", 1.0)}})
    assert route(presigner(find=find), Item(key="a")) == "eu-west-2"
    find = FakeReplicas({"a": {"eu-west-2": Held(None, "e1", 2.0), "us-east-2": Held("null", "e1", 1.0)}})
    assert route(presigner(find=find), Item(key="a")) == "mrap"


@pytest.mark.parametrize(
    ("finding", "reason"),
    [
        (OLDER, "us-east-2 has another version"),
        (ABSENT, "us-east-2 does not have it yet"),
        (DELETED, "us-east-2 has it deleted"),
        (DENIED, "us-east-2 refused (403)"),
        (SILENT, "us-east-2 did not answer within 3 s"),
    ],
)
def test_reason_says_why_a_place_does_not_count(finding: Finding, reason: str) -> None:
    find = FakeReplicas({"a": {"eu-west-2": NEWEST, "us-east-2": finding}})
    assert presigner(find=find).one(Item(key="a"), ROOT, None, NOW).reason == reason


def test_use_mrap_off_asks_and_gives_the_primary_only() -> None:
    find = FakeReplicas({"a": {"eu-west-2": OLDER, "us-east-2": NEWEST}})
    off = presigner(find=find, use_mrap=False)
    assert route(off, Item(key="a"), NEAR_OHIO) == "eu-west-2"
    assert [place.name for place in find.asked[0].places] == ["eu-west-2"]
    for item in (Item(key="a", method="PUT"), Item(key="a", method="DELETE"), Item(key="a", check=False)):
        assert route(off, item, NEAR_OHIO) == "eu-west-2"
    only_there = presigner(find=FakeReplicas({"a": {"us-east-2": NEWEST}}), use_mrap=False)
    assert route(only_there, Item(key="a")) == "Missing"


def test_place_pins_and_is_the_only_one_asked() -> None:
    find = FakeReplicas({"a": {"us-east-2": NEWEST}})
    asked = presigner(find=find)
    assert route(asked, Item(key="a", place="us-east-2")) == "us-east-2"
    assert route(asked, Item(key="a", place="eu-west-2")) == "Missing"
    assert [[place.name for place in question.places] for question in find.asked] == [["us-east-2"], ["eu-west-2"]]
    assert route(asked, Item(key="a", place="eu-west-2", method="PUT")) == "eu-west-2"
    with pytest.raises(BadRequest, match="place is 'mars': expected one of eu-west-2, us-east-2"):
        asked.one(Item(key="a", place="mars"), ROOT, None, NOW)


def test_version_id_is_asked_for_and_is_in_the_url() -> None:
    find = FakeReplicas(otherwise=OLDER)
    answer = presigner(find=find).one(Item(key="a", version_id="v1"), ROOT, None, NOW)
    assert (answer.route, signed_query(answer)["versionId"]) == ("mrap", "v1")
    assert find.asked[0].version_id == "v1"
    with pytest.raises(MissingVersion, match="version 'v9' of 'a' is not in eu-west-2, us-east-2"):
        presigner(find=FakeReplicas()).one(Item(key="a", version_id="v9"), ROOT, None, NOW)


@pytest.mark.parametrize(
    ("item", "where"),
    [
        (Item(key="a", check=False), "mrap"),
        (Item(key="a", method="HEAD", check=False), "mrap"),
        (Item(key="a", method="PUT"), "mrap"),
        (Item(key="a", method="DELETE"), "mrap"),
        (Item(key="a", method="DELETE", version_id="v1"), "eu-west-2"),
        (Item(key="a", method="DELETE", version_id="v1", place="us-east-2"), "us-east-2"),
        (Item(key="a", method="PUT", upload_id="u", part_number=1), "eu-west-2"),
        (Item(key="a", method="PUT", upload_id="u", part_number=1, place="us-east-2"), "us-east-2"),
    ],
)
def test_what_is_not_looked_for_asks_no_place(item: Item, where: str) -> None:
    find = FakeReplicas()
    assert route(presigner(find=find), item, NEAR_OHIO) == where
    assert find.asked == []


@pytest.mark.parametrize(
    ("found", "error", "words"),
    [
        ((ABSENT, ABSENT), Missing, "'a' is not in eu-west-2, us-east-2"),
        ((DELETED, ABSENT), Missing, "'a' is not in eu-west-2, us-east-2"),
        ((ABSENT, DENIED), Refused, "us-east-2 refused"),
        ((DENIED, SILENT), Refused, "eu-west-2 refused"),
    ],
)
def test_missing_and_refused_are_told_apart(
    found: tuple[Finding, Finding], error: type[NearsideError], words: str
) -> None:
    find = FakeReplicas({"a": dict(zip(("eu-west-2", "us-east-2"), found, strict=True))})
    with pytest.raises(error, match=words) as caught:
        presigner(find=find).one(Item(key="a"), ROOT, None, NOW)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("found", "where", "reason"),
    [
        ((ABSENT, SILENT), "us-east-2", "eu-west-2 does not have it yet; us-east-2 did not answer within 3 s"),
        ((DELETED, SILENT), "us-east-2", "eu-west-2 has it deleted; us-east-2 did not answer within 3 s"),
        ((SILENT, ABSENT), "eu-west-2", "eu-west-2 did not answer within 3 s; us-east-2 does not have it yet"),
        ((SILENT, SILENT), "eu-west-2", "eu-west-2 did not answer within 3 s; us-east-2 did not answer within 3 s"),
        ((SILENT, DENIED), "eu-west-2", "eu-west-2 did not answer within 3 s; us-east-2 refused (403)"),
    ],
)
def test_in_doubt_the_url_leads_to_the_primary_or_else_to_who_may_have_it(
    found: tuple[Finding, Finding], where: str, reason: str
) -> None:
    find = FakeReplicas({"a": dict(zip(("eu-west-2", "us-east-2"), found, strict=True))})
    answer = presigner(find=find).one(Item(key="a"), ROOT, NEAR_OHIO, NOW)
    assert (answer.route, answer.reason) == (where, f"no place is known to have it: {reason}")


@given(order=st.lists(st.sampled_from(["here", "gone", "refused", "down", "unchecked", "put", "bad"]), max_size=12))
def test_a_batch_is_answered_in_order_each_by_itself(order: list[str]) -> None:
    here = {"eu-west-2": NEWEST, "us-east-2": NEWEST}
    find = FakeReplicas({"here": here, "refused": {"us-east-2": DENIED}, "down": {"us-east-2": SILENT}})
    items: dict[str, Item | NearsideError] = {
        "unchecked": Item(key="unchecked", check=False),
        "put": Item(key="put", method="PUT"),
        "bad": BadRequest("items[0].key is wrong"),
    }
    answers = presigner(find=find).many([items.get(key) or Item(key=key) for key in order], ROOT, None, NOW).items
    shown = [answer.key if isinstance(answer, Presigned) else answer.error for answer in answers]
    errors = {"gone": "NoSuchKey", "refused": "AccessDenied", "bad": "InvalidRequest"}
    assert shown == [errors.get(key, key) for key in order]
    assert all(unquote(urlsplit(a.url).path) == f"/{a.key}" for a in answers if isinstance(a, Presigned))


def test_a_failure_in_a_batch_has_the_status_that_it_would_have_had_alone() -> None:
    [failure] = presigner(find=FakeReplicas()).many([Item(key="a")], ROOT, None, NOW).items
    assert failure == Failed("NoSuchKey", "'a' is not in eu-west-2, us-east-2", 404)


def test_who_is_refused_is_refused_before_any_place_is_asked() -> None:
    find = FakeReplicas(otherwise=NEWEST)
    rules = [Rule("sub", ["users/${sub}/"], ["read"])]
    asked = presigner(find=find, rules=rules)
    alice = Caller("alice", trusted=False, claims={"sub": "alice"})
    items = [Item(key="users/bob/a"), Item(key="users/alice/a"), Item(key="users/alice/a", method="PUT")]
    first, second, third = asked.many(items, alice, None, NOW).items
    assert (first.error, second.key, third.error) == ("AccessDenied", "users/alice/a", "AccessDenied")
    assert [question.key for question in find.asked] == ["users/alice/a"]


UPLOAD = {
    "cache_control": "max-age=60",
    "checksum_sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "content_disposition": "inline",
    "content_length": 3,
    "content_type": "image/png",
    "if_none_match": "*",
}
SENT = {
    "cache-control": "max-age=60",
    "x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "content-disposition": "inline",
    "content-length": "3",
    "content-type": "image/png",
    "if-none-match": "*",
}


@given(chosen=st.sets(st.sampled_from(sorted(UPLOAD))), use_mrap=st.booleans())
def test_headers_answered_are_exactly_the_signed_ones(chosen: set[str], use_mrap: bool) -> None:
    fields: dict[str, Any] = {name: UPLOAD[name] for name in chosen}
    answer = presigner(use_mrap=use_mrap).one(Item(key="a", method="PUT", **fields), ROOT, None, NOW)
    own_names = dict(zip(UPLOAD, SENT, strict=True))
    assert answer.headers == {own_names[name]: SENT[own_names[name]] for name in chosen}
    assert signed_query(answer)["X-Amz-SignedHeaders"].split(";") == sorted({"host", *answer.headers})


def test_overrides_and_parts_are_in_the_query() -> None:
    overrides = Item(
        key="a",
        response_cache_control="no-store",
        response_content_disposition='attachment; filename="a b.txt"',
        response_content_type="text/plain",
    )
    query = signed_query(presigner().one(overrides, ROOT, None, NOW))
    assert query["response-cache-control"] == "no-store"
    assert query["response-content-disposition"] == 'attachment; filename="a b.txt"'
    assert query["response-content-type"] == "text/plain"
    part = Item(key="a", method="PUT", upload_id="u+/=", part_number=7, content_length=5)
    answer = presigner().one(part, ROOT, None, NOW)
    assert (signed_query(answer)["partNumber"], signed_query(answer)["uploadId"]) == ("7", "u+/=")
    assert answer.headers == {"content-length": "5"}


@given(asked=st.integers(1, 604_800), left=st.none() | st.floats(1.5, 700_000), use_mrap=st.booleans())
def test_expiry_told_is_the_urls_own_and_never_after_the_session(
    asked: int, left: float | None, use_mrap: bool
) -> None:
    own = Credentials("AKID", "secret", "token", None if left is None else NOW + left)
    answer = presigner(credentials=own, use_mrap=use_mrap).one(Item(key="a", expires_in=asked), ROOT, None, NOW)
    query = signed_query(answer)
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    seconds = int(query["X-Amz-Expires"])
    assert answer.expires_at.timestamp() == signed_at.timestamp() + seconds
    assert seconds <= asked
    if left is None:
        assert seconds == asked
    else:
        assert answer.expires_at.timestamp() <= NOW + left
        assert seconds == asked or answer.expires_at.timestamp() > NOW + left - 2
    assert query["X-Amz-Security-Token"] == "token"


def test_a_session_that_is_over_signs_nothing() -> None:
    over = presigner(credentials=Credentials("AKID", "secret", "token", NOW - 5))
    with pytest.raises(NoCredentials, match="AKID ended 5 seconds ago"):
        over.one(Item(key="a"), ROOT, None, NOW)


def test_credentials_are_fetched_anew_for_each_request() -> None:
    sessions = iter([Credentials("FIRST", "s"), Credentials("SECOND", "s")])
    asked = Presigner((LONDON, OHIO), MRAP, lambda: next(sessions), FakeReplicas(otherwise=NEWEST), Policy())
    shown = [signed_query(asked.one(Item(key="a"), ROOT, None, NOW))["X-Amz-Credential"] for _ in range(2)]
    assert [each.partition("/")[0] for each in shown] == ["FIRST", "SECOND"]
