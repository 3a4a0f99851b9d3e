"""The order of a deployment as data: each step's stack, region, template, parameters, and what it needs done before.

Destinations before rules, buckets before the access point, its alias before the functions that use it: so a bucket's
stack has two steps. The first only creates it; the second, when all else is there, gives it rules and notifications.
The alarms import what the application exports, and CloudFormation takes nothing away that is imported: so they have
two steps as well, one before the application for what goes, and one after it for what comes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from deploy.parameters import (
    Outputs,
    Parameters,
    StackId,
    access_point_name,
    application_stack,
    bucket_stack,
    edge_stack,
    global_stack,
    of_access_point,
    of_access_point_with_its_reader,
    of_application,
    of_bucket,
    of_edge,
    of_page,
    of_rules,
    of_watch,
    page_stack,
    watch_stack,
)
from deploy.settings import Region, Settings


def _nothing(_: Mapping[str, str]) -> str:
    return ""


@dataclass(frozen=True)
class Step:
    """One stack to be made or changed. `environment` is samconfig.toml's; `needs` are keys of other steps.

    An `only_creates` step leaves a stack alone that is there and whole; a later step changes it. A step that `shrinks`
    acts only when the stack has in those lists what it shall no longer have, and takes that away. `replaces` says in
    words, of the parameters that are there, what would be replaced.
    """

    key: str
    stack: StackId
    template: str
    environment: str
    parameters: Callable[[Outputs], Parameters]
    needs: tuple[str, ...] = ()
    only_creates: bool = False
    shrinks: tuple[str, ...] = ()
    replaces: Callable[[Mapping[str, str]], str] = _nothing


def steps(settings: Settings) -> list[Step]:
    """Every step of these settings, in order."""
    primary, *others = settings.regions
    made = [each for each in settings.regions if not each.adopt]
    found = [_bucket(settings, each) for each in made]
    buckets = tuple(step.key for step in found)
    if settings.mrap.enabled:
        found.append(_global(settings, buckets))
    base = ("global",) if settings.mrap.enabled else buckets
    found += [_unwatch(settings, primary), _application(settings, primary, base)]
    for each in others:
        needs = (*base, f"application {primary.region}")
        found += [_unwatch(settings, each), _application(settings, each, needs)]
    before_rules = (*buckets, *(f"application {each.region}" for each in settings.regions))
    if settings.edge.enabled:
        found += [_edge(settings), _policy(settings)]
        before_rules = (*before_rules, "edge")
    if settings.page.enabled:
        found.append(_page(settings, (*base, f"application {primary.region}")))
        before_rules = (*before_rules, "page")
    # Of an adopted bucket only the role of its rules, without destinations not even that. They wait for nothing.
    adopted = [each for each in settings.regions if each.adopt and others]
    found += [_rules(settings, each, before_rules) for each in (*adopted, *made)]
    found += [_watch(settings, each) for each in settings.regions]
    return found


def rules_key(region: Region) -> str:
    """The key of the step that gives the region's bucket its rules."""
    return f"rules {region.region}"


def _bucket(settings: Settings, region: Region) -> Step:
    return Step(
        key=f"bucket {region.region}",
        stack=bucket_stack(settings, region.region),
        template="stacks/bucket.yaml",
        environment="bucket",
        parameters=partial(of_bucket, settings, region),
        only_creates=True,
    )


def _rules(settings: Settings, region: Region, needs: tuple[str, ...]) -> Step:
    return Step(
        key=rules_key(region),
        stack=bucket_stack(settings, region.region),
        template="stacks/bucket.yaml",
        environment="bucket",
        parameters=partial(of_rules, settings, region),
        needs=needs,
    )


def _global(settings: Settings, needs: tuple[str, ...]) -> Step:
    return Step(
        key="global",
        stack=global_stack(settings),
        template="stacks/global.yaml",
        environment="global",
        parameters=partial(of_access_point, settings),
        needs=needs,
        replaces=partial(_other_access_point, settings),
    )


def _policy(settings: Settings) -> Step:
    return Step(
        key="policy",
        stack=global_stack(settings),
        template="stacks/global.yaml",
        environment="global",
        parameters=partial(of_access_point_with_its_reader, settings),
        needs=("global", "edge"),
    )


def _other_access_point(settings: Settings, there: Mapping[str, str]) -> str:
    old, new = there.get("Name", ""), access_point_name(settings)
    if old in ("", new):
        return ""
    return (
        f"OTHER BUCKETS, SO ANOTHER ACCESS POINT: {new} takes the place of {old} and has another alias, which the "
        "application gets. URLs that are signed already end then, for the signing role may use the new one only. "
        f"{old} stays, out of the stack, for what else knows its alias; while it is there its buckets cannot be "
        "deleted. When nobody uses it: aws s3control delete-multi-region-access-point "
        f"--region us-west-2 --account-id <account> --details Name={old}"
    )


def _application(settings: Settings, region: Region, needs: tuple[str, ...]) -> Step:
    return Step(
        key=f"application {region.region}",
        stack=application_stack(settings, region.region),
        template="template.yaml",
        environment="default" if region == settings.primary else "replica",
        parameters=partial(of_application, settings, region),
        needs=needs,
    )


def _page(settings: Settings, needs: tuple[str, ...]) -> Step:
    return Step(
        key="page",
        stack=page_stack(settings),
        template="stacks/page.yaml",
        environment="page",
        parameters=partial(of_page, settings),
        needs=needs,
    )


def _watch(settings: Settings, region: Region) -> Step:
    return Step(
        key=f"watch {region.region}",
        stack=watch_stack(settings, region.region),
        template="stacks/watch.yaml",
        environment="watch",
        parameters=partial(of_watch, settings, region),
        needs=(f"application {region.region}",),
    )


def _unwatch(settings: Settings, region: Region) -> Step:
    return Step(
        key=f"unwatch {region.region}",
        stack=watch_stack(settings, region.region),
        template="stacks/watch.yaml",
        environment="watch",
        parameters=partial(of_watch, settings, region),
        shrinks=("Functions", "Queues"),
    )


def _edge(settings: Settings) -> Step:
    return Step(
        key="edge",
        stack=edge_stack(settings),
        template="stacks/edge.yaml",
        environment="edge",
        parameters=partial(of_edge, settings),
        needs=("global",),
    )
