"""How the deployment is: its stacks, their drift by choice, the access point, and what the API says of replication."""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from deploy.parameters import StackId, access_point_name, global_stack, page_stack
from deploy.planning import WHOLE, Describes
from deploy.settings import Settings
from deploy.steps import steps

_POLL_SECONDS = 5.0
_MAX_POLLS = 360


class Watches(Describes, Protocol):
    """What a status needs of AWS."""

    def mrap_status(self, name: str) -> str: ...
    def begin_drift(self, stack: StackId) -> str: ...
    def drift(self, stack: StackId, detection: str) -> Mapping[str, str] | None: ...


def status(
    settings: Settings, cloud: Watches, ask: Callable[[str], str], pause: Callable[[float], None], *, drift: bool
) -> Iterator[str]:
    """Lines for people. `ask` gets a verdict from an API's address."""
    url, point = "", access_point_name(settings)
    for name in dict.fromkeys(step.stack for step in steps(settings) if not step.shrinks):
        there = cloud.stack(name)
        yield f"{name[0]} in {name[1]}: {there.status if there else 'not there'}"
        if there and there.status not in WHOLE and there.reason:
            yield f"  {there.reason}"
        if drift and there and there.status in WHOLE:
            yield f"  drift: {_drift(cloud, name, pause)}"
        if there and name == (settings.name, settings.primary.region):
            url = there.outputs.get("ApiUrl", "")
        if there and name == page_stack(settings) and (origin := there.outputs.get("PageOrigin")):
            yield f"  the page: {origin}/app/"
        if there and name == global_stack(settings):
            point = there.parameters.get("Name", point)
    if settings.mrap.enabled:
        state = cloud.mrap_status(point)
        yield f"access point {point}: {state}{' (this may take up to a day)' if state == 'CREATING' else ''}"
    yield f"replication: {ask(url) if url else 'not known: the API is not there'}"


def _drift(cloud: Watches, name: StackId, pause: Callable[[float], None]) -> str:
    detection = cloud.begin_drift(name)
    for _ in range(_MAX_POLLS):
        if (found := cloud.drift(name, detection)) is not None:
            return ", ".join(f"{resource} {how}" for resource, how in found.items()) or "none"
        pause(_POLL_SECONDS)
    return "not known: the detection takes too long"
