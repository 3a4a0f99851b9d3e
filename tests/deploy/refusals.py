"""What CloudFormation and S3 would refuse of a deployment in a wrong order, or would do without a word."""

from collections.abc import Mapping

from deploy.parameters import StackId
from deploy.planning import STILLBORN, WHOLE, Stack
from deploy.steps import Step
from tests.deploy.world import FILE, World, alias, places


def exports(region: str, parameters: Mapping[str, str]) -> set[str]:
    """What the application lets the alarms import."""
    primary = parameters["BucketRegion"] == region
    found = {"Presign", "Explorer", "ReplicaEvents", "Replication", "Uploads", "Events", *["Monitor"] * primary}
    return found | ({"Gateway", "Replicator", *["Reconcile"] * primary} if parameters.get("Backends") else set())


def imports(watch: Stack | None) -> set[str]:
    """What alarms import."""
    if watch is None or watch.status in STILLBORN:
        return set()
    return {each for name in ("Functions", "Queues") for each in watch.parameters.get(name, "").split(",")}


def check_order(world: World, step: Step, parameters: Mapping[str, str]) -> None:
    """What CloudFormation would refuse, or worse, not refuse."""
    name = FILE["name"]
    whole = {stack for stack, each in world.stacks.items() if each.status in WHOLE}
    needed: set[StackId] = set()
    kind, _, region = step.key.partition(" ")
    if kind in ("bucket", "rules"):
        world.wrong += _wrong_bucket(world, step, parameters)
        if parameters.get("EventsQueueArn"):
            needed.add((name, region))
    elif kind in ("global", "policy"):
        world.wrong += [f"global: no {each}" for each in parameters["Buckets"].split(",") if each not in world.buckets]
        if world.points.get(parameters["Name"], parameters["Buckets"]) != parameters["Buckets"]:
            world.wrong.append(f"global: the name {parameters['Name']} is taken")
    elif kind == "application":
        needed |= {(f"{name}-global", "eu-west-2")} | ({(name, "eu-west-2")} if region != "eu-west-2" else set())
        world.wrong += _wrong_application(world, step, parameters)
    elif kind in ("watch", "unwatch"):
        needed.add((name, region))
        given = imports(Stack("", parameters))
        if lacking := given - exports(region, world.stacks[name, region].parameters):
            world.wrong.append(f"{step.key}: nothing exports {lacking}")
    elif kind == "page":
        needed.add((name, "eu-west-2"))
    if "MrapAlias" in parameters and parameters["MrapAlias"] not in map(alias, world.points):
        world.wrong.append(f"{step.key}: alias {parameters['MrapAlias']!r}")
    world.wrong += [f"{step.key}: {stack} is not whole" for stack in needed - whole]


def _wrong_bucket(world: World, step: Step, parameters: Mapping[str, str]) -> list[str]:
    if parameters["Adopted"] == "true":
        return [] if parameters.get("Destinations") else [f"{step.key}: a stack without a resource"]
    there = world.stacks.get(step.stack)
    taken = parameters["Bucket"] in world.buckets and (there is None or there.status in STILLBORN)
    return [*[f"{step.key}: the bucket is there"] * taken] + [
        f"{step.key}: {bucket} is not there, or not versioned"
        for bucket in filter(None, parameters.get("Destinations", "").split(","))
        if world.buckets.get(bucket) != "Enabled"
    ]


def _wrong_application(world: World, step: Step, parameters: Mapping[str, str]) -> list[str]:
    name, region = step.stack
    there, found = world.stacks.get(step.stack), list[str]()
    if lacking := imports(world.stacks.get((f"{name}-watch", region))) - exports(region, parameters) - {""}:
        found.append(f"{step.key}: {lacking} cannot be taken away, as they are imported")
    if parameters["BucketRegion"] == region:
        had = places(region, there.parameters) if there and there.parameters else set[str]()
        wanted = places(region, parameters)
        found += [f"{step.key}: the table is in {each} already" for each in wanted & world.tables - had]
        if had and len(had ^ wanted) > 1:
            found.append(f"{step.key}: {had ^ wanted} at once")
    return found


def check_deletion(world: World, stack: StackId) -> None:
    name = FILE["name"]
    there = {other for other, each in world.stacks.items() if each.status not in STILLBORN}
    first = {
        name: {(f"{name}-watch", stack[1])},
        f"{name}-global": {other for other in there if other[0] in (name, f"{name}-edge", f"{name}-page")},
        f"{name}-bucket": {(name, stack[1])},
    }.get(stack[0], set())
    if stack[0] == f"{name}-page" and world.files:
        world.wrong.append(f"{stack} deleted with its bucket full")
    if world.stacks[stack].status not in STILLBORN:
        world.wrong += [f"{stack} deleted while {other} is there" for other in first & there]
