"""A deployment killed anywhere and run again ends where an undisturbed one ends; nothing is done too early."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import DeployFailed
from deploy.destroying import Destruction
from deploy.planning import Stack
from deploy.running import SAMS_STACK, Run
from deploy.settings import Settings
from deploy.steps import Step, steps
from tests.deploy.fakes import FakeCloud, FakeSam, Killed, Killing, When, settings, template
from tests.deploy.world import FILE, World, alias

WHENS: tuple[When, ...] = ("before", "during", "after")
EU = ("acme-bucket", "eu-west-2")
type Verb = Callable[[Run], object]


def run_over(world: World, killing: Killing | None = None, of: Settings | None = None, source: str = "1") -> Run:
    killing = killing or Killing()
    return Run(
        of or settings(),
        killing.wrap(FakeCloud(world)),
        killing.wrap(FakeSam(world)),
        lambda name: template(name, source),
        lambda _: None,
        lambda _: world.tick(),
        {"index.html": b"<!doctype html>", "app.js": f"{source}".encode()},
    )


def destroy(run: Run) -> object:
    return Destruction(run).whole()


def deployed(world: World | None = None, of: Settings | None = None) -> World:
    world = world or World()
    run_over(world, of=of).deploy()
    assert world.wrong == []
    return world


def calls_of(verb: Verb, world: World, source: str = "1") -> int:
    killing = Killing()
    verb(run_over(world, killing, source=source))
    return killing.calls


def killed_and_resumed(verb: Verb, world: World, kills: Sequence[tuple[int, When]], source: str = "1") -> World:
    for at, when in kills:
        try:
            verb(run_over(world, Killing(at, when), source=source))
        except Killed:
            continue
    verb(run_over(world, source=source))
    world.settle()
    assert world.wrong == []
    return world


DEPLOY_CALLS = calls_of(Run.deploy, World())
UPDATE_CALLS = calls_of(Run.deploy, deployed(), "2")
UNDISTURBED = deployed().state()


def test_undisturbed_it_makes_every_stack_in_order() -> None:
    world = deployed()
    assert world.done == [step.key for step in steps(settings()) if not step.shrinks]
    assert world.stacks.keys() == {step.stack for step in steps(settings())}
    assert world.stacks[EU].parameters["Destinations"] == "acme-us,acme-ap"


def test_a_second_run_does_nothing() -> None:
    world = deployed()
    world.done.clear()
    deployed(world)
    assert world.done == []


@pytest.mark.parametrize("when", WHENS)
def test_killed_at_every_call_in_turn_it_ends_the_same(when: When) -> None:
    for at in range(DEPLOY_CALLS):
        assert killed_and_resumed(Run.deploy, World(), [(at, when)]).state() == UNDISTURBED, at


@pytest.mark.parametrize("when", WHENS)
def test_an_update_killed_at_every_call_in_turn_ends_the_same(when: When) -> None:
    updated = killed_and_resumed(Run.deploy, deployed(), [], "2").state()
    assert updated != UNDISTURBED
    for at in range(UPDATE_CALLS):
        assert killed_and_resumed(Run.deploy, deployed(), [(at, when)], "2").state() == updated, at


kills = st.lists(st.tuples(st.integers(0, DEPLOY_CALLS), st.sampled_from(WHENS)), min_size=2, max_size=4)


@given(kills)
def test_killed_again_and_again_it_ends_the_same(several: list[tuple[int, When]]) -> None:
    assert killed_and_resumed(Run.deploy, World(), several).state() == UNDISTURBED


@given(kills, kills)
def test_killed_while_deploying_and_destroying_nothing_is_left(
    up: list[tuple[int, When]], down: list[tuple[int, When]]
) -> None:
    world = killed_and_resumed(Run.deploy, World(), up)
    gone = killed_and_resumed(destroy, world, down)
    assert (gone.stacks, gone.buckets, gone.points) == ({}, {}, {})


MAKING = [step for step in steps(settings()) if not step.shrinks]


@pytest.mark.parametrize("step", MAKING, ids=lambda step: step.key)
def test_a_stack_that_fails_says_its_own_words_and_the_next_run_goes_on_there(step: Step) -> None:
    failing = step
    world = World()
    if failing.key.startswith(("rules", "policy")):
        deployed(world)
        world.stacks[failing.stack] = replace(world.stacks[failing.stack], tags={})
    world.failing[failing.stack] = "acme is not authorized to perform: s3:Everything"
    with pytest.raises(DeployFailed, match="not authorized to perform: s3:Everything") as failed:
        run_over(world).deploy()
    assert failing.stack[0] in str(failed.value)
    world.failing.clear()
    world.done.clear()
    assert deployed(world).state() == UNDISTURBED
    assert world.done[0] == ("global" if failing.key == "policy" else failing.key)


@pytest.mark.parametrize(
    "status", ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"]
)
def test_a_stack_that_never_came_to_be_is_deleted_in_words_and_made(status: str) -> None:
    world, said = World(stacks={EU: Stack(status)}), list[str]()
    replace(run_over(world), say=said.append).deploy()
    assert world.state() == UNDISTURBED
    assert f"acme-bucket in eu-west-2: it is {status}" in "\n".join(said)


def test_sams_own_stack_that_a_kill_left_half_made_is_deleted_first() -> None:
    sams = (SAMS_STACK, "eu-west-2")
    world, said = World(stacks={sams: Stack("REVIEW_IN_PROGRESS")}), list[str]()
    replace(run_over(world), say=said.append).deploy()
    assert sams not in world.stacks
    assert world.state() == UNDISTURBED
    assert f"{SAMS_STACK} in eu-west-2: it is REVIEW_IN_PROGRESS" in "\n".join(said)


@pytest.mark.parametrize("status", ["UPDATE_ROLLBACK_FAILED", "UPDATE_FAILED"])
def test_a_stuck_update_is_taken_back_in_words_and_made_again(status: str) -> None:
    world, said = deployed(), list[str]()
    world.stacks[EU] = replace(world.stacks[EU], status=status, tags={})
    replace(run_over(world), say=said.append).deploy()
    assert world.wrong == []
    assert world.state() == UNDISTURBED
    assert f"acme-bucket in eu-west-2: it is {status}" in "\n".join(said)


def test_one_region_without_an_access_point_is_one_bucket_and_one_application() -> None:
    one = settings(regions=[{"region": "eu-west-2", "bucket": "acme-eu"}], mrap={"enabled": False}, edge={}, page={})
    assert [step.key for step in steps(one)] == [
        "bucket eu-west-2", "unwatch eu-west-2", "application eu-west-2", "rules eu-west-2", "watch eu-west-2",
    ]  # fmt: skip


ADOPTING = settings(regions=[
    {"region": "eu-west-2", "bucket": "acme-eu", "adopt": True},
    {"region": "us-east-2", "bucket": "acme-us"},
])  # fmt: skip


def test_an_adopted_bucket_must_be_there() -> None:
    world = World()
    for verb in (Run.plan, Run.deploy):
        with pytest.raises(DeployFailed, match="acme-eu in eu-west-2 is to be adopted, and is not there"):
            verb(run_over(world, of=ADOPTING))
    assert world.stacks == {}


@pytest.mark.parametrize("state", ["", "Suspended"])
def test_rules_wait_until_an_adopted_bucket_is_versioned_and_all_else_is_done(state: str) -> None:
    world = World(buckets={"acme-eu": state})
    assert "acme-eu in eu-west-2 is adopted, and not versioned yet" in run_over(world, of=ADOPTING).plan().lines[-1]
    with pytest.raises(DeployFailed, match="make adopt APPLY=1"):
        run_over(world, of=ADOPTING).deploy()
    assert world.done[-1] == "rules eu-west-2"  # the role, with which the bucket can be adopted
    world.buckets["acme-eu"] = "Enabled"
    deployed(world, ADOPTING)


def test_where_all_buckets_are_adopted_their_versioning_can_wait() -> None:
    both = settings(regions=[each | {"adopt": True} for each in FILE["regions"][:2]])
    assert EU in deployed(World(buckets={"acme-eu": "", "acme-us": ""}), both).stacks


def test_an_adopted_bucket_has_a_stack_for_the_role_alone() -> None:
    world = deployed(World(buckets={"acme-eu": "Enabled"}, objects={"acme-eu": 7}), ADOPTING)
    assert world.stacks[EU].parameters["Adopted"] == "true"
    assert "bucket eu-west-2" not in world.done
    assert world.done.index("rules eu-west-2") < world.done.index("rules us-east-2")


def test_an_adopted_bucket_alone_has_no_stack() -> None:
    one = settings(regions=[FILE["regions"][0] | {"adopt": True}], mrap={"enabled": False}, edge={})
    assert EU not in deployed_without_point(World(buckets={"acme-eu": ""}), one).stacks


def deployed_without_point(world: World, of: Settings) -> World:
    """The world's own checks want an access point."""
    run_over(world, of=of).deploy()
    return world


def with_gateway(**changed: object) -> Settings:
    return settings(gateway={"backends": "docs/backends.schema.json"}, **changed)


def test_the_alarms_let_go_before_the_application_takes_away_what_they_name() -> None:
    world = deployed(of=with_gateway())
    world.done.clear()
    world.secrets.clear()
    deployed(world)
    assert world.state().keys() == UNDISTURBED.keys()
    assert [key for key in world.done if "watch" in key or "application" in key] == [
        word for region in ("eu-west-2", "us-east-2", "ap-southeast-2")
        for word in (f"unwatch {region}", f"application {region}")
    ]  # fmt: skip
    assert world.stacks["acme-watch", "eu-west-2"].parameters["Queues"] == "Events"


def test_what_comes_new_is_watched_after_it_is_there() -> None:
    world = deployed()
    world.done.clear()
    deployed(world, with_gateway())
    assert not [key for key in world.done if key.startswith("unwatch")]
    assert "Gateway" in world.stacks["acme-watch", "eu-west-2"].parameters["Functions"]


@pytest.mark.parametrize("when", WHENS)
def test_a_gateway_turned_off_and_killed_at_every_call_in_turn_ends_the_same(when: When) -> None:
    calls = calls_of(Run.deploy, deployed(of=with_gateway()))
    for at in range(0, calls, 3):
        world = killed_and_resumed(Run.deploy, deployed(of=with_gateway()), [(at, when)])
        assert world.stacks["acme-watch", "us-east-2"].parameters["Queues"] == "Events", at


def test_a_region_more_is_another_access_point_beside_the_old_one() -> None:
    world = deployed(of=settings(regions=FILE["regions"][:2]))
    [old] = world.points
    plan = run_over(world).plan()
    told = "\n".join(plan.lines)
    assert f"takes the place of {old}" in told
    assert f"delete-multi-region-access-point --region us-west-2 --account-id <account> --details Name={old}" in told
    assert "MrapAlias: (known when acme-global" in told
    deployed(world)
    assert world.points.keys() > {old}
    assert len(world.points) == 2
    assert world.stacks["acme", "ap-southeast-2"].parameters["MrapAlias"] == alias(
        world.stacks["acme-global", "eu-west-2"].parameters["Name"]
    )


@pytest.mark.parametrize("when", WHENS)
def test_a_region_more_killed_at_every_call_in_turn_ends_the_same(when: When) -> None:
    two = settings(regions=FILE["regions"][:2])
    grown = deployed(deployed(of=two)).state()
    for at in range(0, calls_of(Run.deploy, deployed(of=two)), 3):
        assert killed_and_resumed(Run.deploy, deployed(of=two), [(at, when)]).state() == grown, at


def test_another_order_of_the_regions_is_the_same_access_point() -> None:
    primary, *others = FILE["regions"]
    world = deployed()
    other = settings(regions=[primary, *reversed(others)])
    assert not [each for each in run_over(world, of=other).plan().changes if each.replaces]
    assert len(deployed(world, other).points) == 1
