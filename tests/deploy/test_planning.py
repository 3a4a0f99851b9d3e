"""The plan: create, update or nothing, with what differs and what cannot be known yet; and the status."""

from collections.abc import Mapping
from dataclasses import replace

from deploy.parameters import StackId
from deploy.planning import Stack, change, looked_at, planned
from deploy.status import status
from deploy.steps import steps
from deploy.templates import Template
from tests.deploy.fakes import FakeCloud, settings, template
from tests.deploy.test_running import deployed, run_over
from tests.deploy.world import World

EDGE = ("acme-edge", "us-east-1")


def test_the_first_plan_creates_each_stack_once_and_says_what_it_cannot_know() -> None:
    changes = run_over(World()).plan().changes
    assert [each.action for each in changes] == [
        {"rules": "update", "policy": "update", "unwatch": "nothing"}.get(each.step.key.partition(" ")[0], "create")
        for each in changes
    ]
    told = "\n".join(line for each in changes for line in each.lines)
    assert "MrapAlias: (known when acme-global in eu-west-2 is there: its MrapAlias)" in told


def test_after_a_deployment_there_is_nothing_to_do() -> None:
    assert {each.action for each in run_over(deployed()).plan().changes} == {"nothing"}


def test_a_changed_setting_is_shown_where_it_changes_something() -> None:
    told = run_over(deployed(), of=settings(alarms={"email": "a@example.com"})).plan().changes
    changed = {each.step.key: each.because for each in told if each.action != "nothing"}
    assert changed == {f"watch {each.region}": ("Email: '' → 'a@example.com'",) for each in settings().regions}


def test_a_plan_changes_nothing() -> None:
    world = deployed()
    before = dict(world.stacks)
    run_over(world, of=settings(alarms={"email": "a@example.com"})).plan()
    assert world.stacks == before


def test_a_secret_is_neither_compared_nor_shown() -> None:
    step = replace(steps(settings())[0], only_creates=False, parameters=lambda _: {"Key": "hush"})
    secret = Template("t", {"Key": {"NoEcho": True}}, "1", ())
    found = change(step, Stack("CREATE_COMPLETE", {"Key": "****"}, {"nearside:source": "1"}), secret, {})
    assert found.action == "update"
    assert found.because == ("Key is secret: whether it changed cannot be known",)


def test_what_is_stuck_is_said_in_the_plan() -> None:
    world = World(stacks={EDGE: Stack("ROLLBACK_COMPLETE")})
    there = looked_at(FakeCloud(world), steps(settings()))
    [edge] = [each for each in planned(there, steps(settings()), template) if each.step.key == "edge"]
    assert (edge.action, edge.first.split(":")[0]) == ("create", "it is ROLLBACK_COMPLETE")


class Watching(FakeCloud):
    """A cloud with an access point that is on its way, and one detection."""

    asked = 0

    def mrap_status(self, name: str) -> str:
        assert name in self.world.points
        return "CREATING"

    def begin_drift(self, stack: StackId) -> str:
        return "1"

    def drift(self, stack: StackId, detection: str) -> Mapping[str, str] | None:
        self.asked += 1
        return {"TheBucket": "MODIFIED"} if self.asked % 2 == 0 else None


def test_the_status_names_stacks_drift_access_point_and_verdict() -> None:
    world = deployed()
    [point] = world.points
    told = list(
        status(
            settings(),
            Watching(world),
            lambda url: "healthy" if url.endswith("eu-west-2.amazonaws.com") else "",
            lambda _: None,
            drift=True,
        )
    )
    assert "acme-bucket in eu-west-2: UPDATE_COMPLETE" in told
    assert "  drift: TheBucket MODIFIED" in told
    assert "  the page: https://d1.cloudfront.net/app/" in told
    assert told[-2:] == [
        f"access point {point}: CREATING (this may take up to a day)",
        "replication: healthy",
    ]
