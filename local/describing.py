"""A world's state, as its controls tell it, in words for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any


def describe(state: Mapping[str, Any]) -> str:
    """The world's state in a few lines."""
    lines = [f"lag {state['lag_seconds']:g} s · location {state['location']} · {state['pending']} pending"]
    for region in state["regions"]:
        condition = region["condition"]
        how = ["on" if condition["on"] else "OFF"]
        if condition["slow_seconds"]:
            how.append(f"slower by {condition['slow_seconds']:g} s")
        if condition["failing_ratio"]:
            how.append(f"failing {condition['failing_ratio']:g} of 1")
        lines.append(f"{region['name']:<12} {', '.join(how):<40} {region['pending_from']} waiting to leave")
    lines += [
        f"replication to {fault['region'] or 'any region'}, keys {fault['prefix']}…: "
        + (f"fails ({fault['reason']})" if fault["reason"] else "stalls")
        for fault in state["replication_faults"]
    ]
    given_up = sum(region["dead_letters"] for region in state["regions"])
    lines += [f"events {state['events_lost']} lost, {given_up} given up"] if state["events_lost"] or given_up else []
    return "\n".join(lines) + "\n"


def describe_dns(dns: Mapping[str, Any]) -> str:
    """The name server, and its records."""
    lines = [f"dns {dns['address']} {'FAILS: ' + dns['failure'] if dns['failure'] else 'on'}"]
    for record in dns["records"]:
        weights = record["weights"] or [None] * len(record["texts"])
        asked = dns["queries"].get(record["name"], 0)
        lines.append(f"{record['name']}, ttl {record['ttl_seconds']} s, asked for {asked} times")
        for text, weight in zip(record["texts"], weights, strict=True):
            lines.append(f"  {text}" + (f" (weight {weight})" if weight is not None else ""))
    return "\n".join(lines) + "\n"


def describe_gateway(gateway: Mapping[str, Any]) -> str:
    """The gateway's address, and how its places are."""
    limits = "Lambda's limits" if gateway["lambda_limits"] else "no limits"
    lines = [f"gateway {gateway['url'] or 'is not there'}, {limits}, {gateway['waiting']} wait for the replicator"]
    for provider in gateway["providers"]:
        how = ", ".join(_troubles(provider["trouble"])) or "well"
        lines.append(f"{provider['name']:<12} {how:<40} {provider['provider']} in {provider['zone_code']}")
    return "\n".join(lines) + "\n"


def _troubles(trouble: Mapping[str, Any]) -> Iterator[str]:
    for name, value in trouble.items():
        if value is True:
            yield name.upper()
        elif name == "slow_seconds" and value:
            yield f"slower by {value:g} s"
        elif value:
            yield f"{name.replace('_', ' ')} {value:g} of 1"
