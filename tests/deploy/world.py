"""An account to deploy to: its stacks, and what outlives them (buckets, tables, secrets, access points)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deploy.parameters import StackId
from deploy.planning import WHOLE, Stack

FILE: dict[str, Any] = {
    "name": "acme",
    "regions": [
        {"region": "eu-west-2", "bucket": "acme-eu"},
        {"region": "us-east-2", "bucket": "acme-us"},
        {"region": "ap-southeast-2", "bucket": "acme-ap"},
    ],
    "api": {"issuer": "https://example.com"},
    "edge": {"enabled": True, "txt_name": "origin.example.com"},
    "page": {"enabled": True, "client_id": "page"},
}


@dataclass
class World:
    """The account: stacks and buckets. `wrong` collects what was done in a wrong order; `ends` is work under way."""

    stacks: dict[StackId, Stack] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)  # name → versioning
    objects: dict[str, int] = field(default_factory=dict)
    points: dict[str, str] = field(default_factory=dict)  # access points: name → their buckets
    tables: set[str] = field(default_factory=set)  # regions
    secrets: set[str] = field(default_factory=set)
    ends: dict[StackId, tuple[int, Stack | None]] = field(default_factory=dict)
    events: dict[StackId, list[str]] = field(default_factory=dict)
    failing: dict[StackId, str] = field(default_factory=dict)  # stack → why
    failing_deletions: dict[StackId, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)  # the page's: key → MD5
    seen: dict[str, str] = field(default_factory=dict)  # of them, when CloudFront was told last

    def tick(self) -> None:
        """A little time passes; works under way come to their ends."""
        for stack, (left, end) in list(self.ends.items()):
            if left > 0:
                self.ends[stack] = (left - 1, end)
                continue
            del self.ends[stack]
            if end is None:
                gone = self.stacks.pop(stack)
                if stack[0].endswith("-global"):
                    self.points.pop(gone.parameters.get("Name", ""), None)
            else:
                self.stacks[stack] = end
                if end.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
                    self._made(stack, end.parameters)

    def settle(self) -> None:
        """Time passes until nothing is under way."""
        while self.ends:
            self.tick()

    def state(self) -> dict[StackId, Stack]:
        """All that counts at the end."""
        return {
            name: replace(each, status="UPDATE_COMPLETE" if each.status in WHOLE else each.status)
            for name, each in self.stacks.items()
        }

    def _made(self, stack: StackId, parameters: Mapping[str, str]) -> None:
        name, region = stack
        if name.endswith("-bucket") and parameters.get("Adopted") != "true":
            self.buckets[parameters["Bucket"]] = "Enabled"
        elif name.endswith("-global"):
            self.points[parameters["Name"]] = parameters["Buckets"]
        elif name == FILE["name"] and parameters["BucketRegion"] == region:
            self.tables = places(region, parameters)
            if parameters.get("Backends"):
                self.secrets.add(region)


def alias(point: str) -> str:
    """An access point's; another one for each."""
    return f"m{point.encode().hex()}.mrap"


def places(primary: str, parameters: Mapping[str, str]) -> set[str]:
    return {primary, *filter(None, parameters["ReplicaRegion"].split(","))}
