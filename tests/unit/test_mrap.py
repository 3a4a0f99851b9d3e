"""Finding an MRAP among those of the account."""

import pytest

from nearside.errors import Missing
from nearside.mrap import Member, MrapReport, report

ONE = MrapReport("pictures", "mfzwi23gnjvgw.mrap", "READY", None, [Member("eu-west-2", "pics-eu")])
TWO = MrapReport("films", "abc123.mrap", "CREATING", None, [])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("pictures", ONE),
        ("mfzwi23gnjvgw.mrap", ONE),
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", ONE),
        ("films", TWO),
    ],
)
def test_an_mrap_is_found_by_name_alias_or_arn(name: str, found: MrapReport) -> None:
    assert report(lambda: [ONE, TWO], name) is found


def test_only_ready_is_ready() -> None:
    assert ONE.ready
    assert not TWO.ready


def test_one_that_is_not_there_is_missing_and_those_there_are_named() -> None:
    with pytest.raises(Missing, match=r"'books' in this account; there are: pictures \(mfzwi23gnjvgw.mrap\), films"):
        report(lambda: [ONE, TWO], "books")
    with pytest.raises(Missing, match="there are: none"):
        report(list, "books")
