"""The deploy command, with the real `sam deploy`, against the emulator: straight through, and killed at every step."""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from local import rehearsal_moto as moto
from local.rehearsal_server import Emulator, Gone, emulator
from local.rehearsal_stacks import Stack
from tests.rehearse.deployment import Command, client, differences, state

REGIONS = ("eu-west-2", "us-east-2", "ap-southeast-2")
SETTINGS = (
    'name = "acme"\n[api]\nissuer = "https://login.example.com"\n[page]\nenabled = true\nclient_id = "page"\n'
    '[edge]\nenabled = true\ntxt_name = "origin.example.com"\n'
    '[gateway]\nbackends = "backends.json"\n'
    + "".join(f'[[regions]]\nregion = "{each}"\nbucket = "acme-{each}"\n' for each in REGIONS)
)
MOMENTS = ("CreateChangeSet", "ExecuteChangeSet", "executing")
# How many of the three moments of each step: one, in turn, or with KILLS=3 every one, which takes minutes.
KILLS = int(os.environ.get("KILLS", "1"))
STEPS = 16  # three buckets, access point, three applications, edge, policy, page, three of rules, three of alarms


@pytest.fixture
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the state is kept that a deployment straight through ends in, for all processes of this run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if base.name.startswith("popen-") else base) / "straight.json"


def deployed(command: Command, straight: Path) -> dict[str, Any]:
    """Deploys; the state that it ends in."""
    command.write(SETTINGS)
    command.done("deploy", "--yes")
    found = state(command.emulator)
    made = straight.with_name(f"{straight.name}.{id(command)}")
    made.write_text(json.dumps(found))
    made.replace(straight)
    return found


def test_straight_through_and_down_again(command: Command, aws: Emulator, straight: Path) -> None:
    found = deployed(command, straight)
    assert {each["status"] for each in found["stacks"].values()} == {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    planned = command.done("plan").splitlines()[1:]
    assert [line for line in planned if not line.startswith((" ", "nothing"))] == []
    assert len([line for line in planned if line.startswith("nothing")]) == STEPS + 1
    assert planned[-1] == "nothing  the page's files"
    said = command.done("status")
    assert f"acme in {REGIONS[0]}: CREATE_COMPLETE" in said
    assert ": READY" in said
    _has_its_page(command, aws, said)
    _down_again(command, aws)


def _has_its_page(command: Command, aws: Emulator, said: str) -> None:
    """The page's files are in its bucket, and the other buckets' CORS lets it in."""
    [stack] = [each for each in aws.cloudformation.account.stacks if each.name == "acme-page"]
    origin, distribution = stack.outputs["PageOrigin"], stack.outputs["PageDistribution"]
    assert f"the page: {origin}/app/" in said
    s3 = client(aws, "s3", REGIONS[0])
    keys = {each["Key"] for each in s3.list_objects_v2(Bucket=stack.outputs["PageBucket"])["Contents"]}
    web = command.root / "web"
    files = {f"app/{each.relative_to(web).as_posix()}" for each in web.rglob("*") if each.is_file()}
    assert keys == {each for each in files if not each.endswith(".ts")} | {"app/config.json", "release"}
    page = s3.get_object(Bucket=stack.outputs["PageBucket"], Key="app/index.html")
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert stack.wanted
    told = json.load(s3.get_object(Bucket=stack.outputs["PageBucket"], Key="app/config.json")["Body"])
    [application] = [e for e in aws.cloudformation.account.stacks if (e.name, e.region) == ("acme", REGIONS[0])]
    assert told["api"] == application.outputs["ApiUrl"] == stack.wanted.written.parameters["ApiOrigin"]
    assert told["auth"]["client_id"] == "page"
    assert moto.looked_again(distribution) == ["/app/*"]
    for each in aws.cloudformation.account.stacks:
        if each.name == "acme-bucket" and each.wanted:
            assert each.wanted.written.parameters["CorsOrigins"] == origin
    # A file that somebody changed by hand comes back, and CloudFront is told.
    s3.put_object(Bucket=stack.outputs["PageBucket"], Key="app/app.js", Body=b"alert(1)")
    assert "the page's files: 1 to put: app.js" in command.done("plan")
    command.done("deploy", "--yes")
    assert moto.looked_again(distribution) == ["/app/*", "/app/*"]
    assert "nothing  the page's files" in command.done("plan")


def _down_again(command: Command, aws: Emulator) -> None:
    s3 = client(aws, "s3", REGIONS[1])
    version = s3.put_object(Bucket=f"acme-{REGIONS[1]}", Key="a", Body=b"a")["VersionId"]
    before = state(aws)
    code, said = command.run("destroy", typed="acme\n")
    assert (code, state(aws)) == (1, before)
    assert f"acme-{REGIONS[1]} has 1" in said
    s3.delete_object(Bucket=f"acme-{REGIONS[1]}", Key="a", VersionId=version)
    said = command.done("destroy", typed="acme\n")
    left = state(aws)
    assert {each for each in left["stacks"] if each.startswith("acme")} == set()
    assert set(left["others"]["tables"]) == {f"acme-catalog {each}" for each in REGIONS}
    assert [each for each in left["others"]["buckets"] if each.startswith("acme")] == []
    assert left["others"]["access points"] == {}
    # The table keeps what it knows, so its name is taken: whoever deploys again is told before anything is made.
    code, said = command.run("deploy", "--yes")
    assert code == 1
    assert "acme-catalog" in said
    assert state(aws) == left


@dataclass
class Kills:
    """Kills the command in each step: before its change set is made, before that is executed, or while.

    Where `waits`, the stack is still at work until the next run has said that it waits for it.
    """

    command: Command
    waits: tuple[str, ...] = ()
    moments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    done: list[tuple[str, str]] = field(default_factory=list)
    _held: dict[str, threading.Event] = field(default_factory=dict)

    def before(self, action: str, asked: Mapping[str, Any], region: str) -> None:
        """As Emulator.before."""
        name = str(asked.get("StackName", ""))
        if not name.startswith("acme"):
            return
        place = self._place(name, region)
        if action in MOMENTS and self._is_due(place, action):
            self._kill(place, action)
        if event := self._held.get(place):
            if self._is_due(place, "executing"):
                if place not in self.waits:
                    event.set()
                self._kill(place, "executing")
            elif ": waiting" in self.command.said.read_text():
                event.set()

    def hold(self, stack: Stack) -> threading.Event | None:
        """As CloudFormation.hold."""
        place = self._place(stack.name, stack.region)
        if stack.name.startswith("acme") and "DELETE" not in stack.status and self._is_due(place, "executing"):
            return self._held.setdefault(place, threading.Event())
        return None

    def _is_due(self, place: str, moment: str) -> bool:
        first = MOMENTS.index("executing") if place in self.waits else len(self.moments)
        chosen = self.moments.setdefault(place, tuple(MOMENTS[(first + number) % 3] for number in range(KILLS)))
        return moment in chosen and (place, moment) not in self.done

    def _place(self, name: str, region: str) -> str:
        stacks = self.command.emulator.cloudformation.account.stacks
        whole = any(
            event["ResourceStatus"] == "CREATE_COMPLETE" and event["LogicalResourceId"] == name
            for each in stacks
            if (each.name, each.region) == (name, region)
            for event in each.events
        )
        return f"{'update' if whole else 'create'} {name} {region}"

    def _kill(self, place: str, moment: str) -> None:
        self.done.append((place, moment))
        self.command.kill()
        raise Gone


def test_killed_at_every_step_and_run_again_it_ends_the_same(command: Command, aws: Emulator, straight: Path) -> None:
    command.write(SETTINGS)
    kills = Kills(command, waits=(f"create acme {REGIONS[0]}", f"update acme-bucket {REGIONS[0]}"))
    aws.before, aws.cloudformation.hold = kills.before, kills.hold
    waited = 0
    for _ in range(KILLS * STEPS + 1):
        code, said = command.run("deploy", "--yes")
        waited += ": waiting" in said
        if code == 0:
            break
        assert code == -9, said
    assert len(kills.done) == len(set(kills.done)) == KILLS * STEPS
    assert {moment for _, moment in kills.done} == set(MOMENTS)
    assert waited >= len(kills.waits)
    ended = state(aws)
    if not straight.exists():
        with emulator() as another:
            deployed(Command(command.root, another), straight)
    assert differences(ended, json.loads(straight.read_text())) == []
