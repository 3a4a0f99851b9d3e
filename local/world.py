"""The world: two regions, their replication, the access point over them, the API in front, and its controls."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from moto.s3.models import CorsRule

from local import ROOT, object_store
from local.api import HttpApi
from local.aws import RestOfAws
from local.controls import Controls, RegionState, State
from local.events import Events, Feed, Record
from local.faults import Faults
from local.functions import with_environment
from local.identities import WORLD, Identities
from local.locations import Location, locate
from local.mrap import Member, MultiRegionAccessPoint
from local.ports import LOOPBACK, Ports
from local.replication import Replication
from local.replication_rules import put_replication_rule
from local.s3 import RegionalS3
from local.samples import samples
from local.server import AccessLog, App, Server
from local.template import Template, read_template

PRIMARY = "eu-west-2"
REGIONS = (PRIMARY, "us-east-2")
MRAP_NAME = "nearside"
MRAP_ALIAS = "nearsidelocal.mrap"  # AWS makes aliases of 13 letters and digits
DEFAULT_LAG_SECONDS = 5.0

# Exactly what a page needs that uploads with a presigned URL and looks at what came of it.
_CORS = CorsRule(
    allowed_origins=["*"],
    allowed_methods=["GET", "HEAD", "PUT", "DELETE"],
    allowed_headers=["*"],
    expose_headers=["ETag", "x-amz-version-id", "x-amz-replication-status", "x-amz-delete-marker", "X-World-Region"],
    max_age_seconds=3000,
)


_only_one = threading.Lock()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    if not _only_one.acquire(blocking=False):
        raise RuntimeError("another world is running in this process, and moto's state is one for all")
    try:
        yield
    finally:
        _only_one.release()


def environment(place_urls: Mapping[str, str], mrap_url: str, aws_url: str) -> dict[str, str]:
    """The variables of the functions, for a world whose servers are at these addresses."""
    buckets = {region: bucket_of(region) for region in place_urls}
    replicas = [
        {"region": region, "bucket": bucket, "endpoint": place_urls[region]}
        for region, bucket in buckets.items()
        if region != PRIMARY
    ]
    return {
        "BUCKET": buckets[PRIMARY],
        "BUCKET_REGION": PRIMARY,
        "S3_ENDPOINT": place_urls[PRIMARY],
        "REPLICAS": json.dumps(replicas),
        "USE_MRAP": "true",
        "MRAP_ALIAS": MRAP_ALIAS,
        "MRAP_ENDPOINT": mrap_url,
        "AUTH_MODE": "none",
        "ACCESS_POLICY": "[]",
        "SIGNING_ROLE_ARN": "",
        "CURSOR_KEY": "local-world-cursor-key",
        "S3CONTROL_ENDPOINT": aws_url,
        "AWS_REGION": PRIMARY,
        "AWS_ACCESS_KEY_ID": WORLD.access_key_id,
        "AWS_SECRET_ACCESS_KEY": WORLD.secret_access_key,
        "AWS_SESSION_TOKEN": "",
    }


def bucket_of(region: str) -> str:
    """The name of a region's bucket."""
    return f"nearside-{region}"


class World:
    """A running world, from construction until `close()`. Use it with `with`.

    Raises PortInUse when a port is taken, TemplateError and FunctionFailed when the project cannot be read. moto keeps
    its state per process, so there is one world at a time; the next one begins empty.
    """

    def __init__(
        self,
        ports: Ports | None = None,
        *,
        lag_seconds: float = DEFAULT_LAG_SECONDS,
        host: str = LOOPBACK,
        template: Path = ROOT / "template.yaml",
        settings: Mapping[str, str] | None = None,
        with_samples: bool = True,
        log: AccessLog | None = None,
    ) -> None:
        self._host = host
        self._log = log
        self._settings = dict(settings or {})
        self._reloaded: dict[str, str] = {}
        self._location = locate("eu")
        self._feed = Feed()
        self.identities = Identities()
        self.credentials = WORLD
        self.buckets = {region: bucket_of(region) for region in REGIONS}
        self.mrap_alias = MRAP_ALIAS
        self.mrap_arn = f"arn:aws:s3::{object_store.ACCOUNT}:accesspoint/{MRAP_ALIAS}"
        with contextlib.ExitStack() as stack:
            stack.enter_context(_alone())
            object_store.reset()
            stack.callback(object_store.reset)
            self._build(stack, ports or Ports(), lag_seconds, read_template(template, {}, PRIMARY), with_samples)
            self._stack = stack.pop_all()

    def _build(
        self, stack: contextlib.ExitStack, ports: Ports, lag_seconds: float, template: Template, with_samples: bool
    ) -> None:
        """Everything from the inside out; `stack` takes it down in the opposite order."""
        self.events = Events()
        self.events.listeners.append(self._feed)
        self.faults = Faults(REGIONS)
        self.replication = Replication(self._region_of, self.faults, self.events, lag_seconds)
        stack.callback(self.replication.close)
        self._make_buckets(with_samples)

        def serve(name: str, app: App, port: int, host: str = self._host) -> str:
            server = Server(name, app, host, port, self._log)
            stack.callback(server.close)
            return server.url

        s3 = {region: self._regional(region) for region in REGIONS}
        self.place_urls = {
            region: serve(region, s3[region], port) for region, port in zip(REGIONS, ports.places, strict=True)
        }
        members = {region: Member(self.buckets[region], s3[region]) for region in REGIONS}
        mrap = MultiRegionAccessPoint(members, self.identities, self.faults, self.location)
        self.mrap_url = serve("mrap", mrap, ports.mrap)
        # The controls are for whoever sits at this machine, wherever the rest listens.
        self.controls_url = serve("controls", Controls(self), ports.controls, LOOPBACK)
        self.aws_url = serve("aws", RestOfAws(), ports.aws)
        stack.enter_context(with_environment(self._aws_environment()))
        self._api = HttpApi(template, self.environment(), self.location)
        self.api_url = serve("api", self._api, ports.api)
        stack.callback(self.faults.close)

    def _make_buckets(self, with_samples: bool) -> None:
        for region, bucket in self.buckets.items():
            object_store.create_bucket(bucket, region).cors = [_CORS]
        for bucket in self.buckets.values():
            for other in set(self.buckets.values()) - {bucket}:
                put_replication_rule(bucket, other)
        object_store.create_mrap(MRAP_NAME, MRAP_ALIAS, self.buckets)
        for sample in samples() if with_samples else ():
            version = object_store.write(self.buckets[PRIMARY], sample.key, sample.body, sample.content_type)
            self.replication.already_done(self.buckets[PRIMARY], version)

    def _regional(self, region: str) -> RegionalS3:
        def endpoint_of(other: str) -> str:
            return self.place_urls[other].partition("://")[2]

        return RegionalS3(region, self.identities, self.faults, self.replication, self.events, endpoint_of)

    def _region_of(self, bucket: str) -> str:
        found = object_store.find_bucket(bucket)
        return found.region_name if found else PRIMARY

    def environment(self) -> dict[str, str]:
        """The variables of the functions: this world's own, and what `reload` or `settings` put over them."""
        own = environment(self.place_urls, self.mrap_url, self.aws_url)
        return own | self._settings | self._reloaded

    def _aws_environment(self) -> dict[str, str | None]:
        """For AWS SDKs in this process, which read these when they first need them: never a real account."""
        return {
            "AWS_REGION": PRIMARY,
            "AWS_DEFAULT_REGION": PRIMARY,
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
            "AWS_SESSION_TOKEN": None,
            "AWS_PROFILE": None,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ENDPOINT_URL_S3": self.place_urls[PRIMARY],
        }

    def reload(self, **settings: str) -> None:
        """Import the functions anew with these variables changed, such as `USE_MRAP="false"`, or as before."""
        self._reloaded = settings
        self._api.load(self.environment())

    @property
    def is_reloaded(self) -> bool:
        """Whether the functions run with other variables than at the start."""
        return bool(self._reloaded)

    def location(self) -> Location:
        """Where a client is that does not say."""
        return self._location

    def set_location(self, name: str) -> None:
        """Raises UnknownLocation."""
        self._location = locate(name)

    def set_lag(self, seconds: float) -> None:
        """How long replication takes from now on, also for what is already waiting."""
        self.replication.set_lag(seconds)

    def switch(self, region: str, *, on: bool) -> None:
        """Turn a region off or on. Raises KeyError for an unknown one, as `slow` and `fail` do."""
        self.faults.switch(region, on=on)
        self.replication.wake()

    def slow(self, region: str, seconds: float) -> None:
        """Make every request to the region take this much longer."""
        self.faults.slow(region, seconds)

    def fail(self, region: str, ratio: float) -> None:
        """Refuse this part (0 to 1) of the requests to the region."""
        self.faults.fail(region, ratio)

    def heal(self) -> None:
        """Everything on, quick and well, and clients in Europe again."""
        self.faults.heal()
        self.replication.wake()
        self.set_location("eu")

    def settle(self, timeout_seconds: float | None = None) -> None:
        """Wait until nothing waits to be replicated. Raises TimeoutError (default: 10 s more than the lag)."""
        self.replication.settle(self.replication.lag_seconds + 10 if timeout_seconds is None else timeout_seconds)

    def records(self) -> list[Record]:
        """The last S3 events, oldest first."""
        return self._feed.records()

    def state(self) -> State:
        """What the controls show."""
        pending = self.replication.pending()
        regions = [
            RegionState(
                name=region,
                bucket=bucket,
                endpoint=self.place_urls[region],
                condition=self.faults.condition(region),
                pending_from=sum(count for (source, _), count in pending.items() if source == region),
            )
            for region, bucket in self.buckets.items()
        ]
        return State(
            lag_seconds=self.replication.lag_seconds,
            location=self._location.name,
            regions=regions,
            mrap={"name": MRAP_NAME, "alias": self.mrap_alias, "arn": self.mrap_arn, "endpoint": self.mrap_url},
            api=self.api_url,
            pending=sum(pending.values()),
            events=len(self._feed.records()),
        )

    def close(self) -> None:
        """Stop every server and thread, and forget everything."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
