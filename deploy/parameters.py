"""What each stack is given: the templates' parameters, from the settings and from what other stacks put out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.edge_settings import as_parameter
from deploy.edge_settings import parameters as edge_parameters
from deploy.settings import Region, Settings

EDGE_REGION = "us-east-1"
PROBE_KEY = ".nearside/probe"  # stacks/edge.yaml's default
type StackId = tuple[str, str]  # name, region


@dataclass(frozen=True)
class Later:
    """A parameter that an earlier stack puts out, and does not yet."""

    stack: StackId
    output: str

    def __str__(self) -> str:
        return f"(known when {self.stack[0]} in {self.stack[1]} is there: its {self.output})"


type Outputs = Mapping[StackId, Mapping[str, str]]
type Parameters = Mapping[str, str | Later]


def application_stack(settings: Settings, region: str) -> StackId:
    """What serves the region."""
    return settings.name, region


def bucket_stack(settings: Settings, region: str) -> StackId:
    """The region's bucket and the role of its rules."""
    return f"{settings.name}-bucket", region


def watch_stack(settings: Settings, region: str) -> StackId:
    """The region's alarms."""
    return f"{settings.name}-watch", region


def global_stack(settings: Settings) -> StackId:
    """The access point."""
    return f"{settings.name}-global", settings.primary.region


def edge_stack(settings: Settings) -> StackId:
    """The distribution."""
    return f"{settings.name}-edge", EDGE_REGION


def page_stack(settings: Settings) -> StackId:
    """The page's bucket and its distribution."""
    return f"{settings.name}-page", settings.primary.region


def access_point_name(settings: Settings) -> str:
    """Another one for other buckets: every property replaces an access point, and a name cannot be had twice."""
    digest = hashlib.sha256(",".join(_sorted_buckets(settings)).encode()).hexdigest()
    return f"{settings.name}-{digest[:8]}"


def of_access_point(settings: Settings, outputs: Outputs) -> Parameters:
    """The buckets are sorted: in another order they would be another access point."""
    return {
        "Name": access_point_name(settings),
        "Buckets": as_parameter(_sorted_buckets(settings)),
        "DistributionArn": outputs.get(edge_stack(settings), {}).get("DistributionArn", ""),
    }


def of_access_point_with_its_reader(settings: Settings, outputs: Outputs) -> Parameters:
    """The distribution needs the alias, and the access point's policy the distribution."""
    reader = put_out(outputs, edge_stack(settings), "DistributionArn")
    return {**of_access_point(settings, outputs), "DistributionArn": reader}


def put_out(outputs: Outputs, stack: StackId, output: str) -> str | Later:
    """What the stack puts out, or that it will."""
    return outputs.get(stack, {}).get(output) or Later(stack, output)


def of_bucket(settings: Settings, region: Region, _: Outputs) -> Parameters:
    """The bucket alone: no other one has to be there."""
    buckets = settings.buckets
    return {
        "Bucket": region.bucket,
        "Adopted": as_parameter(region.adopt),
        "KmsKeyArn": buckets.kms_key.get(region.region, ""),
        "ObjectLockDays": as_parameter(buckets.object_lock_days),
        "ObjectLockMode": buckets.object_lock_mode,
        "OldVersionsDays": as_parameter(buckets.old_versions_days),
        "CorsOrigins": as_parameter(buckets.cors_origins),
    }


def page_origin(settings: Settings, outputs: Outputs) -> str | Later:
    """Where the page is; empty without one."""
    if not settings.page.enabled:
        return ""
    if settings.page.domain:
        return f"https://{settings.page.domain}"
    return put_out(outputs, page_stack(settings), "PageOrigin")


def _with_page(origins: list[str], page: str | Later) -> str | Later:
    """The origins and the page's, each once."""
    return page if isinstance(page, Later) else as_parameter(list(dict.fromkeys([*origins, *[page] * bool(page)])))


def of_rules(settings: Settings, region: Region, outputs: Outputs) -> Parameters:
    """The bucket with its rules, its events and its readers; of an adopted one the role of its rules."""
    rules, edge = settings.replication, settings.edge
    others = [each for each in settings.regions if each != region]
    keys = [settings.buckets.kms_key[each.region] for each in others if settings.buckets.kms_key]
    return {
        **of_bucket(settings, region, outputs),
        "CorsOrigins": _with_page(settings.buckets.cors_origins, page_origin(settings, outputs)),
        "Destinations": as_parameter([each.bucket for each in others]),
        "DestinationKmsKeyArns": as_parameter(keys),
        "Rtc": as_parameter(rules.rtc),
        "Metrics": as_parameter(rules.metrics),
        "DeleteMarkers": as_parameter(rules.delete_markers),
        "Modifications": as_parameter(rules.modifications),
        "Prefixes": as_parameter(rules.prefixes),
        "EventsQueueArn": put_out(outputs, application_stack(settings, region.region), "EventsQueueArn"),
        "ProbeKey": edge.probe_key or PROBE_KEY,
        "ProbeAddresses": as_parameter(settings.buckets.probe_addresses),
        **(_readers(settings, outputs) if edge.enabled else {}),
    }


def of_application(settings: Settings, region: Region, outputs: Outputs) -> Parameters:
    """Every region's is alike but for its certificate and its key."""
    primary, *others = settings.regions
    api, replication, keys = settings.api, settings.replication, settings.security.kms_key
    return {
        "Bucket": primary.bucket,
        "BucketRegion": primary.region,
        "ReplicaBucket": as_parameter([each.bucket for each in others]),
        "ReplicaRegion": as_parameter([each.region for each in others]),
        "UseMrap": as_parameter(settings.mrap.enabled),
        "MrapAlias": _alias(settings, outputs),
        "AuthMode": api.auth,
        "JwtIssuer": api.issuer,
        "JwtAudience": as_parameter(api.audience),
        "AccessPolicy": api.policy,
        "AllowedOrigins": as_parameter(_origins_of_api(settings)),
        "ListingMaxAge": as_parameter(api.listing_max_age),
        "ThrottleRate": as_parameter(api.throttle_rate),
        "ThrottleBurst": as_parameter(api.throttle_burst),
        "ApiDomain": api.domain,
        "ApiCertificateArn": api.certificate.get(region.region, ""),
        "ApiZoneId": api.zone,
        "ReplicatesDeleteMarkers": as_parameter(replication.delete_markers),
        "ReplicatedPrefixes": json.dumps(replication.prefixes, separators=(",", ":")),
        "LagTargetSeconds": as_parameter(replication.lag_target_seconds),
        "RepairJobOver": as_parameter(replication.repair_job_over),
        "KmsKeyArns": as_parameter(list(settings.buckets.kms_key.values())),
        "DataKmsKeyArn": keys.get(region.region, ""),
        "TableKmsKeyArns": as_parameter([keys[each.region] for each in settings.regions if keys]),
        "ReserveConcurrency": as_parameter(settings.functions.reserve_concurrency),
        "ReplicaEventsConcurrency": as_parameter(settings.functions.replica_events_concurrency),
        "LogRetentionDays": as_parameter(settings.functions.log_retention_days),
        **_gateway(settings),
    }


def _origins_of_api(settings: Settings) -> list[str]:
    """With the page's, where they are named: then it has a name of its own, which is known beforehand."""
    origins, page = settings.api.origins, settings.page
    if not page.enabled or "*" in origins:
        return origins
    return list(dict.fromkeys([*origins, f"https://{page.domain}"]))


def _gateway(settings: Settings) -> Parameters:
    if not (gateway := settings.gateway):
        return {}
    return {
        "Backends": settings.backends_json,
        "GatewayDomains": as_parameter(gateway.domains),
        "GatewayBucketArns": as_parameter(gateway.bucket_arns),
        "BackendSecretArns": as_parameter(gateway.secret_arns),
        "ReplicatorConcurrency": as_parameter(gateway.replicator_concurrency),
    }


def of_watch(settings: Settings, region: Region, _: Outputs) -> Parameters:
    """It imports the names of Functions and Queues, which the application of the region must have."""
    functions = ["Presign", "Explorer", "ReplicaEvents", "Replication", "Uploads"]
    is_primary = region == settings.primary
    functions += ["Monitor"] * is_primary
    if settings.gateway:
        functions += ["Gateway", "Replicator", *["Reconcile"] * is_primary]
    alarms = settings.alarms
    return {
        "Application": settings.name,
        "Regions": as_parameter([each.region for each in settings.regions]),
        "Bucket": region.bucket,
        "Functions": as_parameter(functions),
        "Queues": as_parameter(["Events", *["Gateway"] * bool(settings.gateway)]),
        "ReplicationMetrics": as_parameter(settings.replication.metrics),
        "Email": alarms.email,
        "TopicKey": alarms.topic_key.get(region.region, ""),
        "ApiLatencyMilliseconds": as_parameter(alarms.api_latency_milliseconds),
        "CatalogLatencyMilliseconds": as_parameter(alarms.catalog_latency_milliseconds),
    }


def of_edge(settings: Settings, outputs: Outputs) -> Parameters:
    """Its places are the primary and the region after it."""
    primary, *others = settings.regions
    places = {"Bucket": primary.bucket, "BucketRegion": primary.region}
    if others:
        places |= {"ReplicaBucket": others[0].bucket, "ReplicaRegion": others[0].region}
    keys = [settings.buckets.kms_key[each.region] for each in settings.regions[:2] if settings.buckets.kms_key]
    return {
        **places,
        "MrapAlias": _alias(settings, outputs),
        "KmsKeyArns": as_parameter(keys),
        "ReserveConcurrency": as_parameter(settings.functions.reserve_concurrency),
        "LogRetentionDays": as_parameter(settings.functions.log_retention_days),
        **edge_parameters(settings.edge),
    }


def api_address(settings: Settings, outputs: Outputs) -> str | Later:
    """Where the API is, by its own name where it has one."""
    if settings.api.domain:
        return f"https://{settings.api.domain}"
    return put_out(outputs, application_stack(settings, settings.primary.region), "ApiUrl")


def of_page(settings: Settings, outputs: Outputs) -> Parameters:
    """What the page may speak to, and its name."""
    page, issuer = settings.page, urlsplit(settings.api.issuer)
    return {
        "ApiOrigin": api_address(settings, outputs),
        "MrapAlias": _alias(settings, outputs),
        "ObjectOrigins": as_parameter(
            [f"https://{each.bucket}.s3.{each.region}.amazonaws.com" for each in settings.regions]
        ),
        "MoreOrigins": as_parameter(list(dict.fromkeys([f"https://{issuer.netloc}", *page.origins]))),
        "DomainName": page.domain,
        "CertificateArn": page.certificate,
        "HostedZoneId": page.zone,
        "PriceClass": page.price_class,
        "WebAclArn": page.web_acl,
    }


def _alias(settings: Settings, outputs: Outputs) -> str | Later:
    return put_out(outputs, global_stack(settings), "MrapAlias") if settings.mrap.enabled else ""


def _readers(settings: Settings, outputs: Outputs) -> Parameters:
    """Who reads the buckets for the edge, by its two ways (docs/edge.md)."""
    edge = settings.edge
    identity = edge.origin_auth in (None, "oai") and edge.origin_switch in (None, "edge-lambda")
    stack = edge_stack(settings)
    return {
        "DistributionArn": put_out(outputs, stack, "DistributionArn"),
        "AccessIdentityUser": put_out(outputs, stack, "AccessIdentityUser") if identity else "",
    }


def _sorted_buckets(settings: Settings) -> list[str]:
    return sorted(each.bucket for each in settings.regions)
