"""Taking it down: nothing that has objects, everything else, and what carries data is left and named."""

import re

import pytest

from deploy import DeployFailed
from deploy.destroying import Destruction
from deploy.planning import Stack
from deploy.settings import Settings
from deploy.templates import read
from tests.contract.source_tree import ROOT
from tests.deploy.fakes import Killed, Killing, When, settings
from tests.deploy.test_running import (
    ADOPTING,
    UNDISTURBED,
    WHENS,
    calls_of,
    deployed,
    destroy,
    killed_and_resumed,
    run_over,
    with_gateway,
)
from tests.deploy.world import FILE, World

CALLS = calls_of(destroy, deployed())
TWO = settings(regions=FILE["regions"][:2])
AP = "ap-southeast-2"


def destruction(world: World, of: Settings | None = None) -> Destruction:
    return Destruction(run_over(world, of=of))


@pytest.mark.parametrize("when", WHENS)
def test_killed_at_every_call_in_turn_it_ends_with_nothing(when: When) -> None:
    for at in range(CALLS):
        world = killed_and_resumed(destroy, deployed(), [(at, when)])
        assert (world.stacks, world.buckets, world.points) == ({}, {}, {}), at


def test_a_destruction_that_was_stopped_is_gone_on_with_and_not_deployed_over() -> None:
    for at in range(CALLS):
        world = deployed()
        with pytest.raises(Killed):
            destroy(run_over(world, Killing(at)))
        world.settle()
        if world.buckets.keys() != {"acme-eu", "acme-us", "acme-ap"} and len(world.stacks) > 2:
            with pytest.raises(DeployFailed, match="make destroy"):
                run_over(world).deploy()


def test_nothing_is_destroyed_while_there_are_objects() -> None:
    world = deployed()
    world.objects = {"acme-us": 3, "acme-ap": 100_000}
    with pytest.raises(DeployFailed, match=r"acme-us has 3; acme-ap has 100000 or more"):
        destruction(world).whole()
    assert world.state() == UNDISTURBED


def test_an_adopted_bucket_outlives_it_with_its_objects() -> None:
    world = deployed(World(buckets={"acme-eu": "Enabled"}, objects={"acme-eu": 7}), ADOPTING)
    assert destruction(world, ADOPTING).whole() == []
    assert (world.stacks, world.buckets) == ({}, {"acme-eu": "Enabled"})


def test_a_deletion_that_fails_keeps_what_it_needs_and_no_more() -> None:
    world = deployed()
    edge = ("acme-edge", "us-east-1")
    world.failing_deletions[edge] = "Lambda was unable to delete: it is a replicated function"
    left = destruction(world).whole()
    assert "it is a replicated function" in left[0]
    assert world.wrong == []
    assert {name for name, _ in world.stacks} == {"acme-edge", "acme-global", "acme-bucket"}
    assert world.buckets.keys() == {"acme-eu", "acme-us", "acme-ap"}
    world.failing_deletions.clear()
    assert destruction(world).whole() == []
    assert world.stacks == {}


def test_a_bucket_that_an_old_access_point_holds_is_left_with_its_stack_and_why() -> None:
    world = deployed(deployed(of=TWO))
    left = destruction(world).whole()
    assert [re.findall("its bucket (.*) cannot be deleted: (.*?) ", each) for each in left] == [
        [("acme-us", "BucketHasAccessPointsAttached")], [("acme-eu", "BucketHasAccessPointsAttached")],
    ]  # fmt: skip
    world.points.clear()
    assert destruction(world).whole() == []
    assert (world.stacks, world.buckets) == ({}, {})


def test_the_table_that_is_left_is_in_the_way_of_the_same_name_until_it_is_deleted() -> None:
    world = deployed()
    destroy(run_over(world))
    assert world.tables == {"eu-west-2", "us-east-2", AP}
    for verb in ("plan", "deploy"):
        with pytest.raises(DeployFailed, match="the table acme-catalog in eu-west-2 is there") as refused:
            getattr(run_over(world), verb)()
    told = destruction(world).kept()
    assert "aws dynamodb delete-table --region eu-west-2 --table-name acme-catalog" in str(refused.value)
    assert [line.split()[4] for line in told if "delete-table" in line] == ["us-east-2", AP, "eu-west-2"]
    assert world.stacks == {}
    world.tables.clear()
    assert deployed(world).state() == UNDISTURBED


def test_so_is_the_secret_of_a_gateway_that_was_turned_off() -> None:
    world = deployed(deployed(of=with_gateway()))
    with pytest.raises(DeployFailed, match="secretsmanager delete-secret --region eu-west-2 --secret-id acme-gateway"):
        run_over(world, of=with_gateway()).plan()
    world.secrets.clear()
    deployed(world, with_gateway())


def test_and_a_bucket_that_no_stack_made() -> None:
    world = World(buckets={"acme-us": "Enabled"})
    with pytest.raises(DeployFailed, match=r"acme-us in us-east-2 cannot be made: it is there. Say `adopt = true`"):
        run_over(world).plan()
    with pytest.raises(DeployFailed, match="acme-us"):
        run_over(world).deploy()
    assert world.stacks == {}


def test_what_a_killed_creation_has_made_is_not_in_its_own_way() -> None:
    world = World(stacks={("acme", "eu-west-2"): Stack("CREATE_IN_PROGRESS")}, tables={"eu-west-2"})
    world.ends[("acme", "eu-west-2")] = (10_000, None)
    assert run_over(world).plan().notices == []


def test_what_the_templates_keep_is_what_is_told() -> None:
    """Buckets and their policies go with the buckets, the access point's policy with the access point."""
    names = ("template.yaml", *(f"stacks/{kind}.yaml" for kind in ("bucket", "global", "watch", "edge", "page")))
    kept = {each for name in names for each in read(ROOT, name).kept}
    assert kept == {"TheBucket", "TheBucketPolicy", "AccessPointPolicy", "Catalog", "GatewaySecret"}
    assert destruction(World(), with_gateway()).kept() == []
    told = "\n".join(destruction(deployed(of=with_gateway()), with_gateway()).kept())
    assert "acme-catalog" in told
    assert "--secret-id acme-gateway --remove-replica-regions us-east-2 ap-southeast-2" in told


# a region less


def test_a_region_less_is_said_with_the_command_and_destroyed_by_it() -> None:
    world = deployed()
    with pytest.raises(DeployFailed, match="is in the settings"):
        destruction(world).of_region(AP)
    with pytest.raises(DeployFailed, match="not yet out of what is deployed"):
        destruction(world, TWO).of_region(AP)
    assert f"make destroy REGION={AP}" in run_over(world, of=TWO).plan().lines[-1]
    deployed(world, TWO)
    assert ("acme", AP) in world.stacks
    world.objects = {"acme-ap": 1}
    with pytest.raises(DeployFailed, match="acme-ap has 1"):
        destruction(world, TWO).of_region(AP)
    world.objects.clear()
    [left] = destruction(world, TWO).of_region(AP)
    assert "BucketHasAccessPointsAttached" in left
    world.points = {name: buckets for name, buckets in world.points.items() if "acme-ap" not in buckets}
    assert destruction(world, TWO).of_region(AP) == []
    assert not [stack for stack in world.stacks if stack[1] == AP]
    assert world.buckets.keys() == {"acme-eu", "acme-us"}
    assert world.wrong == []
    assert {each.action for each in run_over(world, of=TWO).plan().changes} == {"nothing"}


def test_one_region_of_another_deployment_that_is_its_primary_is_not_destroyed() -> None:
    elsewhere = settings(regions=[{"region": "eu-north-1", "bucket": "acme-north"}], mrap={"enabled": False}, edge={})
    with pytest.raises(DeployFailed, match="eu-west-2 is the primary of what is deployed"):
        destruction(deployed(), elsewhere).of_region("eu-west-2")


def test_an_adopted_bucket_of_a_region_less_stays() -> None:
    adopting = settings(regions=[*FILE["regions"][:2], FILE["regions"][2] | {"adopt": True}])
    world = deployed(World(buckets={"acme-ap": "Enabled"}, objects={"acme-ap": 9}), adopting)
    deployed(world, TWO)
    assert destruction(world, TWO).of_region(AP) == []
    assert "acme-ap" in world.buckets


def test_the_primary_cannot_be_moved() -> None:
    world = deployed()
    moved = settings(regions=[FILE["regions"][1], FILE["regions"][0], FILE["regions"][2]])
    for verb in ("plan", "deploy"):
        with pytest.raises(DeployFailed, match="The primary cannot be moved: put eu-west-2 first"):
            getattr(run_over(world, of=moved), verb)()
    assert world.state() == UNDISTURBED


def test_regions_come_and_go_one_at_a_time() -> None:
    world = deployed(of=settings(regions=FILE["regions"][:1], mrap={"enabled": True}))
    with pytest.raises(DeployFailed, match="ap-southeast-2, us-east-2 came or went"):
        run_over(world).plan()
    deployed(deployed(world, TWO))


@pytest.mark.parametrize("change", [{"bucket": "acme-other"}, {"adopt": True}])
def test_a_region_keeps_its_bucket(change: dict[str, object]) -> None:
    world = deployed()
    world.buckets["acme-other"] = "Enabled"
    other = settings(regions=[FILE["regions"][0], FILE["regions"][1] | change, FILE["regions"][2]])
    with pytest.raises(DeployFailed, match="A region keeps its bucket"):
        run_over(world, of=other).plan()
