"""The [edge] table of the settings: stacks/edge.yaml's parameters, in lower case with underscores."""

import msgspec


class Edge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether there is a distribution; what is None has the template's default (docs/edge.md explains each)."""

    enabled: bool = False
    txt_name: str = ""
    txt_path_pattern: str | None = None
    origin_switch: str | None = None
    origin_auth: str | None = None
    origin_allow: str | None = None
    origin_key: str | None = None
    origin_ttl: str | None = None
    origin_stale_seconds: int | None = None
    origin_deadline_milliseconds: int | None = None
    origin_resolvers: str | None = None
    sticky_by: str | None = None
    sticky_name: str | None = None
    origin_debug: bool | None = None
    txt_zone_id: str | None = None
    primary_weight: int | None = None
    replica_weight: int | None = None
    primary_signature: str | None = None
    replica_signature: str | None = None
    txt_ttl: int | None = None
    probe_key: str | None = None
    probe_interval: int | None = None
    domain_names: list[str] | None = None
    certificate_arn: str | None = None
    hosted_zone_id: str | None = None
    price_class: str | None = None
    web_acl_arn: str | None = None
    log_destination_arn: str | None = None
    default_ttl: int | None = None
    content_security_policy: str | None = None
    log_retention_days: int | None = None
    reserve_concurrency: bool | None = None
    alarm_topic_arn: str | None = None


def parameters(edge: Edge) -> dict[str, str]:
    """What of it is given, by the names of the template's parameters."""
    return {
        "".join(map(str.title, name.split("_"))): as_parameter(value)
        for name in edge.__struct_fields__
        if name != "enabled" and (value := getattr(edge, name)) is not None
    }


def as_parameter(value: bool | int | str | list[str]) -> str:
    """A value as CloudFormation takes it: lists with commas, `true` and `false`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(value) if isinstance(value, list) else str(value)
