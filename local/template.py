"""What the local world needs of template.yaml: routes, CORS, functions with what starts them, queues and the table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.intrinsics import Resolver, TemplateError, load_yaml

_LAMBDA_TIMEOUT_SECONDS = 3  # Lambda's default
_SQS_BATCH = 10  # an event source mapping's default
_SQS_CONCURRENCY = 1  # Lambda itself begins with five: here a test may rely on the order of a queue
_QUEUE = "AWS::SQS::Queue"  # and its policy's kind begins so
_POLICY = "AWS::SQS::QueuePolicy"
_TABLES = ("AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::Table")


@dataclass(frozen=True, slots=True)
class QueueSource:
    """An SQS event source of a function. `partial`: the function may name the messages of a batch that failed;
    `concurrency`: how many batches it may work on at a time."""

    queue: str
    batch_size: int
    partial: bool
    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class Schedule:
    """A Schedule or ScheduleV2 event of a function. `input` is the event's JSON, empty for AWS's own."""

    name: str
    kind: str
    expression: str
    input: str


@dataclass(frozen=True, slots=True)
class Cors:
    """A CorsConfiguration of the API, or the Cors of a Function URL."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class FunctionUrl:
    """A FunctionUrlConfig."""

    auth: str
    cors: Cors | None


@dataclass(frozen=True, slots=True)
class Function:
    """An AWS::Serverless::Function: `handler` is `module.name` inside `code`."""

    name: str
    code: Path
    handler: str
    environment: Mapping[str, str]
    timeout_seconds: int
    memory_mb: int
    queues: tuple[QueueSource, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    url: FunctionUrl | None = None


@dataclass(frozen=True, slots=True)
class Queue:
    """An AWS::SQS::Queue. `dead_letters` is the logical id of its dead-letter queue, empty when it has none; `from_s3`:
    its policy lets S3 send to it, so it is where the bucket's notifications go."""

    name: str
    dead_letters: str = ""
    max_receives: int = 0
    from_s3: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """A route key such as `GET /list-bucket-content/{path+}`, or `$default`, and the function that answers it."""

    key: str
    function: str


@dataclass(frozen=True, slots=True)
class Template:
    """One template, read: nothing in it is left to resolve."""

    functions: Mapping[str, Function]
    routes: tuple[Route, ...]
    cors: Cors | None
    layers: tuple[Path, ...] = field(default=())
    queues: tuple[Queue, ...] = ()
    table: Mapping[str, Any] | None = None


def declared_parameters(path: Path, values: Mapping[str, str]) -> dict[str, str]:
    """Those of the values that the template at `path` has a parameter for. Raises TemplateError, OSError."""
    declared = load_yaml(path.read_text()).get("Parameters") or {}
    return {name: value for name, value in values.items() if name in declared}


def read_template(path: Path, parameters: Mapping[str, str], region: str) -> Template:
    """The template at `path` with these parameters over its defaults. Raises TemplateError, OSError."""
    document = load_yaml(path.read_text())
    resolver = Resolver(document, parameters, region)
    globals_ = resolver.resolve((document.get("Globals") or {}).get("Function") or {})
    reader = _Reader(path.parent, globals_, _active(document, resolver))
    return Template(
        functions={name: reader.function(name) for name in reader.named("AWS::Serverless::Function")},
        routes=tuple(reader.route(name) for name in reader.named("AWS::ApiGatewayV2::Route")),
        cors=reader.cors(),
        layers=tuple(
            path.parent / reader.properties(name)["ContentUri"]
            for name in reader.named("AWS::Serverless::LayerVersion")
        ),
        queues=tuple(map(reader.queue, reader.named(_QUEUE))),
        table=reader.table(),
    )


def _active(document: Mapping[str, Any], resolver: Resolver) -> dict[str, dict[str, Any]]:
    """The resources whose condition holds. Only what is read is resolved: policies and alarms are not ours."""
    wanted = ("AWS::Serverless::Function", "AWS::Serverless::LayerVersion", "AWS::ApiGatewayV2::", _QUEUE, *_TABLES)
    active = {}
    for name, resource in (document.get("Resources") or {}).items():
        if not str(resource["Type"]).startswith(wanted):
            continue
        if "Condition" not in resource or resolver.condition(resource["Condition"]):
            properties = {key: value for key, value in (resource.get("Properties") or {}).items() if key != "Policies"}
            active[name] = {"Type": resource["Type"], "Properties": resolver.resolve(properties)}
    return active


class _Reader:
    def __init__(self, folder: Path, globals_: Mapping[str, Any], resources: Mapping[str, Any]) -> None:
        self._folder = folder
        self._globals = globals_
        self._resources = resources

    def named(self, kind: str) -> list[str]:
        return [name for name, resource in self._resources.items() if resource["Type"] == kind]

    def properties(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._resources[name]["Properties"]
        return found

    def function(self, name: str) -> Function:
        own = self.properties(name)
        merged = {**self._globals, **own}
        for key in ("CodeUri", "Handler"):
            if key not in merged:
                raise TemplateError(f"{name} has no {key}")
        environment = {
            **(self._globals.get("Environment") or {}).get("Variables", {}),
            **(own.get("Environment") or {}).get("Variables", {}),
        }
        return Function(
            name=name,
            code=self._folder / merged["CodeUri"],
            handler=merged["Handler"],
            environment={key: str(value) for key, value in environment.items()},
            timeout_seconds=int(merged.get("Timeout", _LAMBDA_TIMEOUT_SECONDS)),
            memory_mb=int(merged.get("MemorySize", 128)),
            queues=tuple(_queue_sources(own)),
            schedules=tuple(_schedules(own)),
            url=_function_url(own),
        )

    def queue(self, name: str) -> Queue:
        policy = self.properties(name).get("RedrivePolicy")
        if not policy:
            return Queue(name, from_s3=self._hears_s3(name))
        dead_letters = _logical_id(policy["deadLetterTargetArn"])
        if dead_letters not in self._resources:
            raise TemplateError(f"{name} has no dead-letter queue: deadLetterTargetArn is {dead_letters!r}")
        return Queue(name, dead_letters, int(policy["maxReceiveCount"]), self._hears_s3(name))

    def _hears_s3(self, queue: str) -> bool:
        policies = map(self.properties, self.named(_POLICY))
        return any(
            queue in policy["Queues"] and "s3.amazonaws.com" in str(statement.get("Principal"))
            for policy in policies
            for statement in policy["PolicyDocument"]["Statement"]
        )

    def table(self) -> Mapping[str, Any] | None:
        """The properties of the first table, or None."""
        return next((self.properties(name) for kind in _TABLES for name in self.named(kind)), None)

    def route(self, name: str) -> Route:
        properties = self.properties(name)
        integration = str(properties["Target"]).removeprefix("integrations/")
        if integration not in self._resources:
            raise TemplateError(f"{name} has no integration: Target is {properties['Target']!r}")
        function = str(self.properties(integration)["IntegrationUri"]).removesuffix(".Arn")
        if function not in self._resources:
            raise TemplateError(f"{integration} has no function: IntegrationUri is {function!r}")
        return Route(str(properties["RouteKey"]), function)

    def cors(self) -> Cors | None:
        for name in self.named("AWS::ApiGatewayV2::Api"):
            found = self.properties(name).get("CorsConfiguration")
            if found:
                return _cors(found)
        return None


def _cors(found: Mapping[str, Any]) -> Cors:
    return Cors(
        origins=tuple(found.get("AllowOrigins", ())),
        methods=tuple(found.get("AllowMethods", ())),
        headers=tuple(found.get("AllowHeaders", ())),
        exposed=tuple(found.get("ExposeHeaders", ())),
        max_age_seconds=int(found["MaxAge"]) if "MaxAge" in found else None,
        credentials=bool(found.get("AllowCredentials", False)),
    )


def _function_url(properties: Mapping[str, Any]) -> FunctionUrl | None:
    found = properties.get("FunctionUrlConfig")
    if not found:
        return None
    return FunctionUrl(str(found["AuthType"]), _cors(found["Cors"]) if found.get("Cors") else None)


def _events(properties: Mapping[str, Any], *kinds: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for name, event in (properties.get("Events") or {}).items():
        if event["Type"] in kinds:
            yield name, event["Type"], event.get("Properties") or {}


def _queue_sources(properties: Mapping[str, Any]) -> Iterator[QueueSource]:
    for _, _, source in _events(properties, "SQS"):
        partial = "ReportBatchItemFailures" in source.get("FunctionResponseTypes", ())
        scaling = source.get("ScalingConfig") or {}
        yield QueueSource(
            queue=_logical_id(source["Queue"]),
            batch_size=int(source.get("BatchSize", _SQS_BATCH)),
            partial=partial,
            concurrency=int(scaling.get("MaximumConcurrency", _SQS_CONCURRENCY)),
        )


def _schedules(properties: Mapping[str, Any]) -> Iterator[Schedule]:
    for name, kind, schedule in _events(properties, "Schedule", "ScheduleV2"):
        expression = schedule.get("ScheduleExpression") or schedule.get("Schedule") or ""
        yield Schedule(name, kind, str(expression), str(schedule.get("Input") or ""))


def _logical_id(arn: str) -> str:
    """A resolved `!GetAtt Queue.Arn` names the queue by its logical id."""
    return str(arn).removesuffix(".Arn")
