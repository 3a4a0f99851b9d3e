"""What a Multi-Region Access Point is and whether it is ready, as the control plane tells."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from nearside.errors import Missing


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
