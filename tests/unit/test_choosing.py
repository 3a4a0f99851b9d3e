"""The choice among origins: by weight, drained ones never, and sticky with the least of moves."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from choosing import choose, viewer_of
from txt_origin import Origin

VIEWERS = [f"203.0.113.{number}" for number in range(2000)]


def origin(name: str, weight: int = 1) -> Origin:
    return Origin(name, "eu-west-2", f"{name}.s3.eu-west-2.amazonaws.com", "", weight)


def shares(origins: list[Origin], *, sticky: bool) -> dict[str, float]:
    chosen = [choose(origins, viewer if sticky else "") for viewer in VIEWERS]
    return {name: count / len(VIEWERS) for name, count in Counter(each.bucket for each in chosen if each).items()}


def test_a_drained_origin_is_never_chosen_and_all_drained_is_none() -> None:
    assert shares([origin("a"), origin("b", 0)], sticky=False) == {"a": 1.0}
    assert shares([origin("a"), origin("b", 0)], sticky=True) == {"a": 1.0}
    assert choose([origin("a", 0)], "") is None
    assert choose([], "x") is None


def test_the_shares_are_the_weights() -> None:
    for sticky in (False, True):
        found = shares([origin("a", 3), origin("b", 1)], sticky=sticky)
        assert abs(found["a"] - 0.75) < 0.06, sticky


def test_a_viewer_stays_when_an_origin_comes_or_another_goes() -> None:
    two, three = [origin("a", 2), origin("b")], [origin("c", 3), origin("b"), origin("a", 2)]
    for viewer in VIEWERS:
        before, after = choose(two, viewer), choose(three, viewer)
        assert after == before or (after and after.bucket == "c")


@given(st.lists(st.integers(0, 1000), max_size=8), st.text(max_size=20))
def test_what_is_chosen_is_one_of_the_live_origins(weights: list[int], viewer: str) -> None:
    origins = [origin(f"pics-{index}", weight) for index, weight in enumerate(weights)]
    chosen = choose(origins, viewer)
    assert (chosen in origins and chosen.weight > 0) if chosen else not any(weights)


def test_who_the_viewer_is() -> None:
    cookies = [{"key": "Cookie", "value": "a=1; session=x=y"}, {"key": "Cookie", "value": "b=2"}]
    request = {"clientIp": "192.0.2.1", "headers": {"cookie": cookies, "x-user": [{"key": "X-User", "value": "ann"}]}}
    assert viewer_of(request, "ip") == "192.0.2.1"
    assert viewer_of(request, "cookie:session") == "x=y"
    assert viewer_of(request, "cookie:b") == "2"
    assert viewer_of(request, "header:x-user") == "ann"
    assert {viewer_of(request, sticky) for sticky in ("", "cookie:none", "header:none")} == {""}
