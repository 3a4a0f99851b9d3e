"""Entity tags: one for each body, and If-None-Match read as RFC 9110 writes it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside.entity_tags import entity_tag, names

# RFC 9110, 8.8.3: etagc is any visible character but the quote; commas are among them.
ETAGC = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f')
OPAQUE = st.text(ETAGC, max_size=8).map(lambda text: f'"{text}"')
SPACE = st.text(" \t", max_size=2)


@st.composite
def lists(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A header's value as the grammar allows it (empty elements too: 5.6.1.2), and the opaque tags in it."""
    tags = draw(st.lists(OPAQUE, min_size=1, max_size=4))
    elements = [draw(st.sampled_from(["", "W/"])) + tag for tag in tags]
    at = draw(st.integers(0, len(elements)))
    elements[at:at] = [""] * draw(st.integers(0, 2))
    return ",".join(draw(SPACE) + element + draw(SPACE) for element in elements), tags


@given(found=lists(), tag=OPAQUE, weak=st.sampled_from(["", "W/"]))
def test_a_list_names_the_tags_in_it_and_no_other(found: tuple[str, list[str]], tag: str, weak: str) -> None:
    value, tags = found
    assert all(names(value, each) for each in tags)
    assert names(value, weak + tag) == (tag in tags)


@given(body=st.binary(), other=st.binary())
def test_a_body_has_its_own_tag(body: bytes, other: bytes) -> None:
    assert re.fullmatch(r'"[0-9a-f]{32}"', entity_tag(body))
    assert (entity_tag(body) == entity_tag(other)) == (body == other)
    assert names(entity_tag(body), entity_tag(other)) == (body == other)


@given(text=st.text(), tag=OPAQUE)
def test_any_text_is_read_and_names_only_what_stands_in_it(text: str, tag: str) -> None:
    assert not names(text, tag) or tag in text or text.strip() == "*"


def test_a_star_names_whatever_there_is() -> None:
    assert names(" * ", '"a"')
    assert not names('"*"', '"a"')


@pytest.mark.parametrize(
    "value",
    ["", " ", ",", "a", '"a', 'a"', 'w/"a"', 'W /"a"', '"a" b', '*, "a"', '"a";q=1', '"a", "b', "'a'", '"\x00", "a"'],
)
def test_what_is_no_list_of_tags_names_nothing(value: str) -> None:
    assert not names(value, '"a"')


@pytest.mark.parametrize("value", ['"' * 10_001, '"a' * 5_001, "W/" * 5_000, " " * 10_000 + "a", "," * 10_000])
def test_long_nonsense_is_read_in_one_go(value: str) -> None:
    """Each is as long as API Gateway lets headers be; a pattern that goes back over it would not come to an end."""
    assert not names(value, '"b"')


def test_nothing_is_not_the_tag_of_an_answer_without_one() -> None:
    assert not names('"a"', "")
    assert not names("", "")
