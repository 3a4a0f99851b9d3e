"""No URL given out for an existing object answers 404 at the moment it is given, whatever happened to it before.

Random operations against the world: writes and deletes in both regions, URLs asked for from random places, lags that
change, regions that are off, replication that fails and stalls, events that are lost, doubled and reordered. Each URL
is tried at once, by the app that serves it. Beside some, a plain MRAP signer signs the same key for the same client.

Counted apart: an object that was deleted in one region and at once written again in the other, asked for while events
still wait to be dealt with. Nobody who does not ask the buckets themselves can know of it.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from moto.s3.models import FakeKey

from local import object_store
from local.claims import HMAC, Claim
from local.identities import WORLD
from local.operations import Address
from local.s3 import RegionalS3
from local.server import Dropped, Request
from local.signatures import Verified
from local.world import World
from nearside.places import split_endpoint
from nearside.signing import Credentials, V4a

OPERATIONS = 10_000
KEYS = 80
BATCH = 8
PLAIN_RATIO = 0.4  # of the URLs are signed plainly too
LOCATIONS = ("eu", "us", "asia", "uk", "BR", "JP", "us-east-2", "eu-west-2")
LAGS = (0.0, 0.02, 0.1, 0.3, 1.0)
LATE_SECONDS = 0.25

_KEYPAIR = Credentials(WORLD.access_key_id, WORLD.secret_access_key)
# The world's own client: what verifies signatures is tested elsewhere, and writes here are many.
_CLAIM = Claim("header", HMAC, WORLD.access_key_id, "20261121", "", "", (), "", "20261121T000000Z", None, "")
_TRUSTED = Verified(_CLAIM, WORLD)


@dataclass
class Tally:
    """What happened. `wrong` are the URLs that broke the promise, `recreated` those of objects that were written again
    elsewhere after a deletion, of which events still waited; `refused` answers of existing objects without a URL."""

    done: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    plain: Counter[int] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    recreated: list[str] = field(default_factory=list)

    def lines(self) -> str:
        """For a person."""
        tried = sum(self.answers.values())
        return "\n".join(
            [
                f"operations      {dict(self.done)}",
                f"URLs given      {dict(self.given)}, which answered {dict(self.answers)}",
                f"404s            {len(self.wrong)} of {tried}, beside {len(self.recreated)} recreated",
                f"plain signer    {self.plain[404]} 404s of {sum(self.plain.values())}, answers {dict(self.plain)}",
                f"without a URL   {len(self.refused)} of existing objects",
                *self.recreated[:3],
                *self.refused[:3],
            ]
        )


class _Answer:
    """A body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


@pytest.fixture
def short_cut(world: World) -> Iterator[None]:
    """The functions reach DynamoDB without HTTP: their requests are ten thousands."""

    def send(request: AWSPreparedRequest, **_: object) -> Any:
        url, body = str(request.url), request.body
        if not url.startswith(world.aws_url):
            return None
        headers = tuple((str(name), str(value)) for name, value in request.headers.items())
        content = body if isinstance(body, bytes) else str(body).encode()
        try:
            answer = world.apps["aws"](Request("POST", "/", (*headers, ("Host", urlsplit(url).netloc)), content))
        except Dropped:
            return None  # over HTTP it is dropped as well
        fields = HTTPHeaders.from_pairs(answer.headers)
        return AWSResponse(url, answer.status, fields, _Answer(answer.body))

    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION is not None
    boto3.DEFAULT_SESSION.events.register("before-send.dynamodb", send)
    world.reload(LAG_TARGET_SECONDS="60")  # with clients of their own
    yield
    boto3.setup_default_session()


class Run:
    """One run. Everything random comes from the seed; how threads meet does not."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.tally = Tally()
        self.prefix = f"never/{seed}-{uuid4().hex[:6]}/"
        self.keys = [f"{self.prefix}{number} ü.txt" for number in range(KEYS)]
        self.regions = tuple(world.buckets)
        self._body = 0

    def go(self, operations: int) -> None:
        """Do this many operations; a URL of a batch counts as one."""
        weighted: list[tuple[int, Callable[[], int]]] = [
            (45, self.write),
            (12, self.delete),
            (60, self.ask_one),
            (130, self.ask_many),
            (10, self.change_lag),
            (8, self.change_regions),
            (8, self.change_replication),
            (8, self.change_events),
            (2, self.old_object),
        ]
        weights, acts = zip(*weighted, strict=True)
        for key in self.keys[: KEYS * 9 // 10]:
            self._perform("PUT", self.random.choice(self.regions), key)
        while sum(self.tally.done.values()) < operations:
            (act,) = self.random.choices(acts, weights)
            self.tally.done[act.__name__] += act()

    def write(self) -> int:
        return self._somewhere("PUT")

    def delete(self) -> int:
        return self._somewhere("DELETE")

    def _somewhere(self, method: str) -> int:
        """Done in a region that is on; nothing when none is."""
        if on := self._on_regions():
            self._perform(method, self.random.choice(on), self.random.choice(self.keys))
        return int(bool(on))

    def old_object(self) -> int:
        if on := self._on_regions():
            self.keys.append(f"{self.prefix}old-{len(self.keys)}")
            self.world.add_old_object(self.keys[-1], region=self.random.choice(on))
        return int(bool(on))

    def change_lag(self) -> int:
        self.world.set_lag(self.random.choice(LAGS))
        return 1

    def change_regions(self) -> int:
        """One region off, or slow to fail, or both off, or all well."""
        self.world.faults.heal()
        region = self.random.choice(self.regions)
        match self.random.randrange(8):
            case 0 | 1:
                self.world.switch(region, on=False)
            case 2 | 3:
                self.world.fail(region, 0.3)
            case 4:
                for each in self.regions:
                    self.world.switch(each, on=False)
        self.world.replication.wake()
        return 1

    def change_replication(self) -> int:
        self.world.mend_replication()
        prefix = f"{self.prefix}{self.random.randrange(1, 10)}"
        match self.random.randrange(3):
            case 0:
                self.world.fail_replication(self.random.choice(self.regions), prefix)
            case 1:
                self.world.stall_replication(self.random.choice(self.regions), prefix)
        return 1

    def change_events(self) -> int:
        lose, duplicate, delay = (self.random.choice((0.0, 0.0, 0.1, 0.3)) for _ in range(3))
        self.world.disturb_events(lose, duplicate, delay, delay_seconds=LATE_SECONDS)
        return 1

    def ask_one(self) -> int:
        return self.ask([self.random.choice(self.keys)])

    def ask_many(self) -> int:
        return self.ask(self.random.sample(self.keys, BATCH))

    def ask(self, keys: list[str]) -> int:
        """Ask for URLs and try each. Returns how many were asked for."""
        location = self.random.choice(LOCATIONS)
        existed = {key: self.exists(key) for key in keys}
        waiting = self.is_waiting()
        items = [{"key": key} for key in keys]
        body = json.dumps(items[0] if len(items) == 1 else {"items": items}).encode()
        headers = (("Content-Type", "application/json"), ("X-World-Location", location))
        response = self.world.api(Request("POST", "/presign", headers, body))
        answer = json.loads(response.body)
        for key, given in zip(keys, answer["items"] if len(items) > 1 else [answer], strict=True):
            self._try(key, given, location, existed=existed[key], waiting=waiting)
        return len(keys)

    def _try(self, key: str, given: dict[str, Any], location: str, *, existed: bool, waiting: bool) -> None:
        if "url" in given:
            status = self.get(given["url"], location)
            self.tally.given[given["route"]] += 1
            self.tally.answers[status] += 1
            if status == 404 and existed and self.exists(key):
                found = f"{key} from {location}: {given['route']}: {given['reason']}{self.where(key)}"
                excused = waiting and self.is_deleted_somewhere(key)
                (self.tally.recreated if excused else self.tally.wrong).append(found)
        elif existed and self.exists(key) and given.get("status", 404) == 404:
            self.tally.refused.append(f"{key} from {location}: {given}{self.where(key)}")
        if existed and self.random.random() < PLAIN_RATIO:
            plain = V4a(_KEYPAIR, time.time()).presign("GET", split_endpoint(self.world.mrap_url), key, 60)
            status = self.get(plain, location)
            if self.exists(key):
                self.tally.plain[status] += 1

    def get(self, url: str, location: str) -> int:
        """The status of a GET by the app that serves the URL; 0 when it answers nothing."""
        parts = urlsplit(url)
        bases = {"mrap": self.world.mrap_url, **self.world.place_urls}
        name = next(name for name, base in bases.items() if url.startswith(f"{base}/"))
        target = url.removeprefix(f"{parts.scheme}://{parts.netloc}")
        try:
            return self.world.apps[name](
                Request("GET", target, (("Host", parts.netloc), ("X-World-Location", location)))
            ).status
        except Dropped:
            return 0

    def exists(self, key: str) -> bool:
        """Whether the newest version that any region has of the key is an object."""
        newest = [versions[-1] for region in self.regions if (versions := self._versions(region, key))]
        return bool(newest) and isinstance(max(newest, key=object_store.version_time), FakeKey)

    def is_waiting(self) -> bool:
        """Whether events have not been dealt with yet."""
        return any(self.world.flow.waiting().values())

    def is_deleted_somewhere(self, key: str) -> bool:
        """Whether a region's newest version is a delete marker."""
        newest = [versions[-1] for region in self.regions if (versions := self._versions(region, key))]
        return not all(isinstance(version, FakeKey) for version in newest)

    def where(self, key: str) -> str:
        """Each region's versions of the key, for a message."""
        shown = {
            region: [("object" if isinstance(each, FakeKey) else "marker", each.version_id[:6]) for each in versions]
            for region in self.regions
            if (versions := self._versions(region, key)[-3:])
        }
        return f" · {shown}"

    def _versions(self, region: str, key: str) -> list[object_store.Version]:
        return object_store.versions(self.world.buckets[region], key)

    def _on_regions(self) -> list[str]:
        return [region for region in self.regions if self.world.faults.is_on(region)]

    def _perform(self, method: str, region: str, key: str) -> None:
        self._body += 1
        s3 = self.world.apps[region]
        assert isinstance(s3, RegionalS3)
        where = Address(self.world.buckets[region], key)
        body = str(self._body).encode() if method == "PUT" else b""
        assert s3.perform(Request(method, "/", (("Host", "localhost"),), body), where, _TRUSTED).status in (200, 204)


@pytest.mark.parametrize("seed", [1])
@pytest.mark.usefixtures("short_cut")
def test_no_url_of_an_existing_object_answers_404(world: World, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(world, seed)
    started = time.monotonic()
    run.go(OPERATIONS)
    seconds = time.monotonic() - started
    world.heal()
    world.set_lag(0)
    world.settle(60)
    with capsys.disabled():
        print(f"\n{run.tally.lines()}\n{seconds:.0f} s")  # noqa: T201 - the count is what the run is for
    assert run.tally.wrong == []
    assert len(run.tally.recreated) <= run.tally.answers[200] // 1_000  # deleted and put again before the events came
    assert run.tally.refused == []
    assert run.tally.answers[0] > 0 or OPERATIONS < 10_000  # URLs were given while their place was off
    assert run.tally.plain[404] > 0 or OPERATIONS < 10_000  # a shorter run may not have one
    assert sum(run.tally.done.values()) >= OPERATIONS
