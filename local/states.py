"""How the world is, as `GET /state` answers it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.delivery import Disturbance
from local.deployment import MRAP_ARN, MRAP_NAME
from local.faults import Condition
from local.provider_faults import Trouble
from local.providers import PROVIDERS
from local.replication_faults import ReplicationFault

if TYPE_CHECKING:
    from local.world import World


@dataclass(frozen=True, slots=True)
class RegionState:
    """One region; `pending_from` counts the versions that wait to leave it, `failed_to` those that failed to reach it
    since the start, `events_waiting` the events in its queues, `dead_letters` those that were given up;
    `traffic_dial` is its percentage of the access point's traffic."""

    name: str
    bucket: str
    endpoint: str
    condition: Condition
    pending_from: int
    failed_to: int
    events_waiting: int
    dead_letters: int
    traffic_dial: int


@dataclass(frozen=True, slots=True)
class RecordState:
    """The TXT records of a name. `weights`, when there are any, has one for each: an answer has one record then."""

    name: str
    texts: Sequence[str]
    ttl_seconds: int
    weights: Sequence[int]


@dataclass(frozen=True, slots=True)
class DnsState:
    """The name server; `failure` is empty when it is well, `queries` counts by name since the start or `heal`."""

    address: str
    failure: str
    records: Sequence[RecordState]
    queries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ProviderState:
    """One of the gateway's places; `bucket` makes the name of its bucket out of the gateway's."""

    name: str
    provider: str
    zone_code: str
    bucket: str
    endpoint: str
    trouble: Trouble


@dataclass(frozen=True, slots=True)
class GatewayState:
    """The gateway: its URL (empty: the template has none), whether that has Lambda's limits, and its places;
    `waiting` counts the messages in the replicator's queue."""

    url: str
    lambda_limits: bool
    providers: Sequence[ProviderState]
    waiting: int


@dataclass(frozen=True, slots=True)
class State:
    """The whole world."""

    lag_seconds: float
    threshold_seconds: float
    location: str
    regions: Sequence[RegionState]
    mrap: Mapping[str, str]
    api: str
    edge: str
    dns: DnsState
    gateway: GatewayState
    pending: int
    replication_faults: Sequence[ReplicationFault]
    event_delivery: Disturbance
    events: int
    events_lost: int
    schedules: Sequence[str]


def state_of(world: "World") -> State:
    """What the controls show."""
    pending, failures = world.replication.pending(), world.replication.failures()
    waiting, dead_letters = world.flow.waiting(), world.flow.dead_letters()
    regions = [
        RegionState(
            name=region,
            bucket=bucket,
            endpoint=world.place_urls[region],
            condition=world.faults.condition(region),
            pending_from=sum(count for (source, _), count in pending.items() if source == region),
            failed_to=sum(count for (_, to), count in failures.items() if to == region),
            events_waiting=waiting[region],
            dead_letters=len(dead_letters[region]),
            traffic_dial=world.traffic.dials()[region],
        )
        for region, bucket in world.buckets.items()
    ]
    return State(
        lag_seconds=world.replication.lag_seconds,
        threshold_seconds=world.replication.threshold_seconds,
        location=world.location().name,
        regions=regions,
        mrap={"name": MRAP_NAME, "alias": world.mrap_alias, "arn": MRAP_ARN, "endpoint": world.mrap_url},
        api=world.api_url,
        edge=world.edge_url,
        dns=_dns_state(world),
        gateway=_gateway_state(world),
        pending=sum(pending.values()),
        replication_faults=world.replication.troubles,
        event_delivery=world.flow.delivery.disturbance,
        events=len(world.records()),
        events_lost=world.flow.delivery.lost,
        schedules=world.schedules,
    )


def _dns_state(world: "World") -> DnsState:
    zone = world.edge.zone
    return DnsState(
        address=world.edge.dns.address,
        failure=zone.failure,
        records=[
            RecordState(record.name, record.shown, record.ttl_seconds, record.weights) for record in zone.records()
        ],
        queries=zone.counts(),
    )


def _gateway_state(world: "World") -> GatewayState:
    return GatewayState(
        url=world.gateway_url,
        lambda_limits=world.gateway.limited if world.gateway else True,
        providers=[
            ProviderState(
                name=provider.name,
                provider=provider.kind,
                zone_code=provider.zone_code,
                bucket=provider.bucket,
                endpoint=world.provider_urls[provider.name],
                trouble=world.providers.faults.trouble(provider.name),
            )
            for provider in PROVIDERS
        ],
        waiting=world.flow.waiting()["sent"],
    )
