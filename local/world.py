"""The world: two regions, their replication, the access point over them, the API in front, and its controls."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from local import ROOT, object_store
from local.adjustments import Adjustable
from local.api import HttpApi
from local.aws import RestOfAws
from local.background import Background
from local.batch_replication import BatchReplication
from local.clockwork import Clockwork, rate_seconds
from local.controls import Controls
from local.deployment import (
    MRAP_ALIAS,
    MRAP_ARN,
    PRIMARY,
    REGIONS,
    bucket_of,
    environment,
    make_buckets,
    sdk_environment,
)
from local.edge_stack import EdgeStack
from local.event_flow import EventFlow
from local.events import Events, Feed, Record
from local.explorer_page import ExplorerPage, origins_of
from local.faults import Faults
from local.function_url import FunctionUrl
from local.functions import with_environment
from local.gateway_key import put_key
from local.identities import WORLD
from local.locations import locate
from local.metrics import ReplicationMetrics
from local.mrap import Member, MultiRegionAccessPoint
from local.ports import LOOPBACK, Ports
from local.providers import Providers, identities
from local.replication import Replication
from local.s3 import RegionalS3
from local.s3_control import S3Control
from local.samples import samples
from local.server import AccessLog, App, Server
from local.states import State, state_of
from local.tables import create_table
from local.template import Template, declared_parameters, read_template
from local.traffic import Traffic

DEFAULT_LAG_SECONDS = 5.0
METRICS_SECONDS = 5.0

# What makes the template's conditions hold; the functions' variables come from `environment`.
# One lane for S3's events: a test may rely on the order of a queue.
_PARAMETERS = {"Backends": "here", "ReplicaEventsConcurrency": "1"}

_only_one = threading.Lock()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    if not _only_one.acquire(blocking=False):
        raise RuntimeError("another world is running in this process, and moto's state is one for all")
    try:
        yield
    finally:
        _only_one.release()


class World(Adjustable):
    """A running world, from construction until `close()`. Use it with `with`.

    Raises PortInUse when a port is taken, TemplateError and FunctionFailed when the project cannot be read. moto keeps
    its state per process, so there is one world at a time; the next one begins empty. With `clockwork` scheduled
    functions and metrics come by themselves, otherwise only on command.
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
        clockwork: bool = False,
    ) -> None:
        self._host = host
        self._log = log
        self._settings = dict(settings or {})
        self._reloaded: dict[str, str] = {}
        self._location = locate("eu")
        self.api_url = ""  # until it listens, which is after the controls do
        self._feed = Feed()
        self.identities = identities(WORLD)
        self.credentials = WORLD
        self.buckets = {region: bucket_of(region) for region in REGIONS}
        self.mrap_alias = MRAP_ALIAS
        self.mrap_arn = MRAP_ARN
        with contextlib.ExitStack() as stack:
            stack.enter_context(_alone())
            object_store.reset()
            stack.callback(object_store.reset)
            read = read_template(template, declared_parameters(template, _PARAMETERS), PRIMARY)
            self._build(stack, ports or Ports(), lag_seconds, read, with_samples)
            if clockwork:
                stack.callback(self._wind().close)
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
        self.traffic = Traffic(self.buckets)
        self._metrics = ReplicationMetrics(self.replication, self.buckets, self._region_of)
        make_buckets(self.buckets)
        create_table(template.table, PRIMARY)
        self._add_samples(with_samples)

        def serve(name: str, app: App, port: int, host: str = self._host) -> str:
            server = Server(name, app, host, port, self._log)
            stack.callback(server.close)
            return server.url

        s3 = {region: self._regional(region) for region in REGIONS}
        self.place_urls = {
            region: serve(region, s3[region], port) for region, port in zip(REGIONS, ports.places, strict=True)
        }
        members = {region: Member(self.buckets[region], s3[region]) for region in REGIONS}
        mrap = MultiRegionAccessPoint(members, self.identities, self.faults, self.traffic, self.location)
        self.mrap_url = serve("mrap", mrap, ports.mrap)
        # The controls are for whoever sits at this machine, wherever the rest listens.
        self.controls_url = serve("controls", Controls(self, self._page_origins), ports.controls, LOOPBACK)
        control = S3Control(MRAP_ARN, self.traffic, BatchReplication(self.replication))
        aws = RestOfAws(control, PRIMARY, lambda region: region in REGIONS and not self.faults.is_on(region))
        self.aws_url = serve("aws", aws, ports.aws)
        self.providers = Providers(s3[PRIMARY], self.replication)
        stack.callback(self.providers.close)
        apps = zip(self.providers.apps.items(), ports.providers, strict=True)
        self.provider_urls = {name: serve(name, app, port) for (name, app), port in apps}
        # What answers at each endpoint, for tests that have no time for HTTP.
        self.apps: Mapping[str, App] = {**s3, "mrap": mrap, "aws": aws}
        cache = stack.enter_context(TemporaryDirectory(prefix="nearside-world-", ignore_cleanup_errors=True))
        stack.enter_context(with_environment(sdk_environment(self.place_urls[PRIMARY], self.aws_url, cache)))
        self.edge = EdgeStack(s3, mrap, self.location, self.faults.is_on, ports.dns)
        stack.callback(self.edge.close)
        self.edge_url = serve("edge", self.edge.app, ports.edge)
        self._build_functions(stack, ports, template, serve)
        stack.callback(self._let_go)

    def _build_functions(
        self, stack: contextlib.ExitStack, ports: Ports, template: Template, serve: Callable[[str, App, int], str]
    ) -> None:
        """What runs the template's functions, and what they rely on."""
        put_key()
        self.api = HttpApi(template, self.environment(), self.location)
        self._background = Background(template, self.environment(), REGIONS)
        self.flow = EventFlow(template, self._background, self.buckets, self.faults.is_on)
        stack.callback(self.flow.close)
        self.events.listeners.append(self.flow.delivery)
        self.api_url = serve("api", ExplorerPage(self.api, self._page_config, self._page_endpoints), ports.api)
        self.gateway = self._gateway(template)
        self.gateway_url = serve("gateway", self.gateway, ports.gateway) if self.gateway else ""

    def _page_config(self) -> dict[str, Any]:
        """The page's config.json. The API is at the page's own origin, whatever name the browser has for it."""
        return {"name": "Nearside", "api": "", "auth": {"mode": "none"}, "world": self.controls_url}

    def _page_origins(self) -> list[str]:
        """The page's own origins, by each name that a browser may have for them."""
        return origins_of(self.api_url)

    def _page_endpoints(self) -> list[str]:
        """Where the page's objects and answers come from, beside its own origin."""
        return [*self.place_urls.values(), self.mrap_url, self.controls_url, *self.provider_urls.values()]

    def _let_go(self) -> None:
        """Requests that are being slowed go on at once."""
        self.faults.close()
        self.providers.faults.close()

    def _add_samples(self, wanted: bool) -> None:
        for sample in samples() if wanted else ():
            version = object_store.write(self.buckets[PRIMARY], sample.key, sample.body, sample.content_type)
            self.replication.already_done(self.buckets[PRIMARY], version)

    def _wind(self) -> Clockwork:
        def scheduled(name: str, expression: str) -> tuple[str, float, Any]:
            return name, rate_seconds(expression, otherwise=300.0), lambda: self.run_schedule(name)

        functions = self._background.scheduled
        tasks = [scheduled(name, function.schedules[0].expression) for name, function in functions.items()]
        return Clockwork([*tasks, ("metrics", METRICS_SECONDS, self.publish_metrics)])

    def _gateway(self, template: Template) -> FunctionUrl | None:
        """The function of the template that has a URL."""
        found = [function for function in template.functions.values() if function.url]
        return FunctionUrl(found[0], self.environment()) if found else None

    def _regional(self, region: str) -> RegionalS3:
        def endpoint_of(other: str) -> str:
            return self.place_urls.get(other, "").partition("://")[2]

        return RegionalS3(region, self.identities, self.faults, self.replication, self.events, endpoint_of)

    def _region_of(self, bucket: str) -> str:
        found = object_store.find_bucket(bucket)
        return found.region_name if found else PRIMARY

    def environment(self) -> dict[str, str]:
        """The variables of the functions: this world's own, and what `reload` or `settings` put over them."""
        own = environment(self.place_urls, self.mrap_url, self.aws_url, self.provider_urls)
        return own | self._settings | self._reloaded

    def reload(self, **settings: str) -> None:
        """Import the functions anew with these variables changed, such as `USE_MRAP="false"`, or as before."""
        self._reloaded = settings
        self.api.load(self.environment())
        self._background.load(self.environment())
        self.edge.load()
        if self.gateway:
            self.gateway.load(self.environment())

    @property
    def is_reloaded(self) -> bool:
        """Whether the functions run with other variables than at the start."""
        return bool(self._reloaded)

    def add_old_object(
        self, key: str, body: bytes = b"old\n", region: str = PRIMARY, age: timedelta = timedelta(days=30)
    ) -> str:
        """Put an object that is older than the bucket's rule: in this region only, without an event or a status.
        Returns its version id."""
        return str(object_store.write(self.buckets[region], key, body, "text/plain", age).version_id)

    def publish_metrics(self) -> None:
        """Put S3's replication metrics into CloudWatch, as S3 does every minute."""
        self._metrics.publish()

    @property
    def schedules(self) -> list[str]:
        """The names of the scheduled functions."""
        return list(self._background.scheduled)

    def run_schedule(self, name: str) -> Any:
        """Run a scheduled function (by its folder's name, such as `monitor`) now. Returns its answer. Raises
        NotScheduled, and what the function raises."""
        return self._background.run(name)

    def settle(self, timeout_seconds: float | None = None) -> None:
        """Wait until nothing waits to be replicated and every event has been dealt with. Raises TimeoutError (default:
        10 s more than the lag)."""
        limit = self.replication.lag_seconds + 10 if timeout_seconds is None else timeout_seconds
        deadline = time.monotonic() + limit
        self.replication.settle(limit)
        self.flow.settle(deadline - time.monotonic())

    def records(self) -> list[Record]:
        """The last S3 events, oldest first."""
        return self._feed.records()

    def state(self) -> State:
        """What the controls show."""
        return state_of(self)

    def close(self) -> None:
        """Stop every server and thread, and forget everything."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
