"""Whether each place can be reached and lets us in."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from nearside.places import Place
from nearside.replicas import Absent, Denied, Finding, FindsReplicas, Held, Question, Silent


class Health(msgspec.Struct, frozen=True):
    """`healthy` when every place is `up`, `degraded` when some are, `unhealthy` when none is; each place's state in
    words (`up`, or what is wrong). The gateway's places are called `gateway/<name>`."""

    status: Literal["healthy", "degraded", "unhealthy"]
    places: dict[str, str]


def health(places: Sequence[Place], find: FindsReplicas, gateway: Mapping[str, str] | None = None) -> Health:
    """Asks every place's bucket with a HEAD (an empty key is the bucket itself), in parallel. `gateway` has the states
    of the gateway's places."""
    [findings] = find([Question("", None, places)])
    states = {name: _state(finding) for name, finding in findings.items()}
    states |= {f"gateway/{name}": state for name, state in (gateway or {}).items()}
    up = [state == "up" for state in states.values()]
    return Health("healthy" if all(up) else "degraded" if any(up) else "unhealthy", states)


def _state(finding: Finding) -> str:
    match finding:
        case Held():
            return "up"
        case Absent():
            return "has no such bucket"
        case Denied(why) | Silent(why):
            return why


class Backend(msgspec.Struct, frozen=True, omit_defaults=True):
    """One place: its bucket, where that is, whether it is the primary, and its state in words (`up`, or what is
    wrong). `endpoint` is empty for AWS.

    One of the gateway's (`gateway`) has a `provider` and a `zone`, its `bucket` is how it calls the gateway's bucket
    `{bucket}`, and one that is not enabled is `disabled`."""

    name: str
    bucket: str
    region: str
    endpoint: str
    primary: bool
    state: str
    gateway: bool = False
    provider: str = ""
    zone: str = ""


class Backends(msgspec.Struct, frozen=True):
    """Every place, the primary first, and then the gateway's."""

    backends: list[Backend]


def backends(places: Sequence[Place], find: FindsReplicas, gateway: Sequence[Backend] = ()) -> Backends:
    """Every place with its state, asked as `health` asks; and the gateway's."""
    states = health(places, find).places
    ours = [
        Backend(each.name, each.bucket, each.region, each.endpoint, each == places[0], states[each.name])
        for each in places
    ]
    return Backends([*ours, *gateway])
