"""The table of providers, and the documentation that is made of it."""

from pathlib import Path
from typing import get_args

import pytest

from nearside.gateway import limits, s3_routes
from nearside.gateway.providers import OPERATIONS, PROVIDERS, Provider, ProviderName, table

LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"


def test_every_provider_that_can_be_configured_is_in_the_table() -> None:
    assert tuple(PROVIDERS) == get_args(ProviderName.__value__)


@pytest.mark.parametrize("name", PROVIDERS)
def test_what_is_told_of_a_provider_was_read_somewhere(name: str) -> None:
    provider = PROVIDERS[name]
    told = [field for field in OPERATIONS if getattr(provider, field) is not None]
    assert bool(told) == bool(provider.source)
    assert not provider.source or provider.source.startswith("https://")
    assert set(provider.notes) <= set(told)


def test_every_ability_is_in_the_table() -> None:
    abilities = {name for name, kind in Provider.__annotations__.items() if kind == bool | None}
    assert abilities == set(OPERATIONS)


def test_the_table_says_yes_no_and_unknown() -> None:
    head, _, versions, *_ = table().splitlines()
    cells = dict(zip(head.split(" | "), versions.split(" | "), strict=True))
    assert (cells["AWS S3"], cells["Cloudflare R2"], cells["any other"]) == ("yes", "no: is not implemented", "?")


def test_the_documentation_is_current() -> None:
    """docs/limits.md ends with what `nearside.gateway.limits.section()` gives."""
    written = LIMITS.read_text()
    assert written.count(limits.HEADING) == 1
    assert written[written.index(limits.HEADING) :] == limits.section()


def test_the_documentation_says_why_of_whatever_is_refused() -> None:
    named = [name for names in limits.REFUSED for name in names]
    assert sorted(named) == sorted(s3_routes._ELSEWHERE)
