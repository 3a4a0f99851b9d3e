"""Whether the gateway's places can be reached and let us in."""

from collections.abc import Mapping, Sequence

from nearside.errors import NearsideError
from nearside.gateway.backends import Configuration
from nearside.gateway.records import StoresRecords
from nearside.gateway.spreading import Spreader
from nearside.health import Backend

PROBE = "nearside-health"  # a bucket's name to ask for while there is none: no is an answer too


def states(spread: Spreader, records: StoresRecords) -> Mapping[str, str]:
    """By place, in words: `up`, or what is wrong. Each is asked for the gateway's first bucket, all at once."""
    try:
        buckets = [bucket.name for bucket in records.buckets()]
    except NearsideError:
        buckets = []  # the places can be asked all the same
    names = spread.places.names
    answers = spread(names, len(names), lambda _, store: store.has_bucket(buckets[0] if buckets else PROBE))
    found = {}
    for name in names:
        answer = answers[name]
        if isinstance(answer, NearsideError):
            found[name] = str(answer)
        else:
            found[name] = "up" if answer or not buckets else "has no such bucket"
    return found


def listed(configuration: Configuration, known: Mapping[str, str]) -> Sequence[Backend]:
    """The configured places, the primary first, with their states of `known`."""
    return [
        Backend(
            name=each.name,
            bucket=each.bucket,
            region=each.region,
            endpoint=each.endpoint_url,
            primary=each.is_primary,
            state=known.get(each.name, "disabled"),
            gateway=True,
            provider=each.provider,
            zone=each.zone_code,
        )
        for each in sorted(configuration.backends, key=lambda each: not each.is_primary)
    ]
