"""What a Multi-Region Access Point is and whether it is ready, as the control plane tells."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from nearside.errors import Missing, NearsideError


class Member(msgspec.Struct, frozen=True):
    """One bucket behind an MRAP."""

    region: str
    bucket: str


class MrapReport(msgspec.Struct, frozen=True):
    """An MRAP; `status` is S3's: `READY`, `CREATING`, `PARTIALLY_CREATED`, `INCONSISTENT_ACROSS_REGIONS`, `DELETING`,
    `PARTIALLY_DELETED` (https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_MultiRegionAccessPointReport.html)."""

    name: str
    alias: str
    status: str
    created_at: datetime | None
    members: Sequence[Member]

    @property
    def ready(self) -> bool:
        return self.status == "READY"


class ListsMraps(Protocol):
    """All MRAPs of the account. Raises Refused or Unreachable."""

    def __call__(self) -> Sequence[MrapReport]: ...


def report(mraps: ListsMraps, name_or_alias: str) -> MrapReport:
    """The MRAP of that name, alias (`….mrap`) or ARN. Raises Missing, naming those there are."""
    found = mraps()
    wanted = name_or_alias.rpartition("/")[2]
    for each in found:
        if wanted in (each.name, each.alias):
            return each
    there = ", ".join(f"{each.name} ({each.alias})" for each in found) or "none"
    raise Missing(f"no Multi-Region Access Point {name_or_alias!r} in this account; there are: {there}")


class ReadsRoutes(Protocol):
    """The traffic dial (0 or 100 percent) of each bucket behind the MRAP with this alias, by the bucket's name. Raises
    Refused, Missing or Unreachable."""

    def __call__(self, alias: str) -> Mapping[str, int]: ...


class MrapRegion(msgspec.Struct, frozen=True):
    """One region behind an MRAP. With a dial of 100 requests are routed there, with 0 not; None is not known."""

    region: str
    bucket: str
    traffic_dial_percentage: int | None


class MrapState(msgspec.Struct, frozen=True):
    """An MRAP with its routes; `routes_unknown` says why they are not known, if so."""

    name: str
    alias: str
    status: str
    created_at: datetime | None
    regions: list[MrapRegion]
    routes_unknown: str | None = None


def state(mraps: ListsMraps, routes: ReadsRoutes, name_or_alias: str) -> MrapState:
    """The MRAP and its routes. Raises Missing, Refused or Unreachable for the MRAP itself; routes that cannot be read
    are said to be unknown."""
    found = report(mraps, name_or_alias)
    dials: Mapping[str, int] = {}
    why = None
    try:
        dials = routes(found.alias)
    except NearsideError as error:
        why = str(error)
    return MrapState(
        name=found.name,
        alias=found.alias,
        status=found.status,
        created_at=found.created_at,
        regions=[MrapRegion(each.region, each.bucket, dials.get(each.bucket)) for each in found.members],
        routes_unknown=why,
    )
