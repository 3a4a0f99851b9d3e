"""The deploy command after a step that failed, and after the settings have changed."""

from typing import Any

from local.rehearsal_server import Emulator
from tests.rehearse.deployment import Command, state

REGION = "eu-west-2"
BARE = (
    f'name = "acme"\n[[regions]]\nregion = "{REGION}"\nbucket = "acme-{REGION}"\n'
    '[api]\nauth = "iam"\n[mrap]\nenabled = false\n'
)
WITH_GATEWAY = f'{BARE}[gateway]\nbackends = "backends.json"\n'


def test_what_fails_is_told_and_the_next_run_goes_on_and_a_gateway_can_be_turned_off(
    command: Command, aws: Emulator
) -> None:
    command.write(WITH_GATEWAY)
    _failing(command, aws, "acme EventsQueue CREATE", "EventsQueue (AWS::SQS::Queue)", "ROLLBACK_COMPLETE")
    _failing(command, aws, "acme-bucket TheBucket UPDATE", "TheBucket (AWS::S3::Bucket)", "UPDATE_ROLLBACK_COMPLETE")
    command.done("deploy", "--yes")
    assert _not_nothing(command) == []
    command.write(BARE)
    executed: list[str] = []

    def note(action: str, asked: Any, region: str) -> None:
        if action == "ExecuteChangeSet":
            executed.append(asked["StackName"])

    aws.before = note
    command.done("deploy", "--yes")
    # CloudFormation takes no export away that another stack imports.
    assert executed[:2] == ["acme-watch", "acme"]
    left = state(aws)
    assert not [each for each in left["stacks"][f"acme {REGION}"]["exports"] if "Gateway" in each]
    assert f"acme-gateway {REGION}" in left["others"]["secrets"]
    assert _not_nothing(command) == []


def _failing(command: Command, aws: Emulator, at: str, told: str, status: str) -> None:
    """A run in which one resource cannot be made."""
    aws.cloudformation.account.fails = lambda *place: "no more of them" if " ".join(place) == at else ""
    code, said = command.run("deploy", "--yes")
    aws.cloudformation.account.fails = lambda *place: ""
    assert code == 1, said
    last = said[said.index(f" is {status}") :]
    assert f"{told}: no more of them" in last
    assert "it goes on here" in last


def _not_nothing(command: Command) -> list[str]:
    """What the plan would do."""
    return [line for line in command.done("plan").splitlines()[1:] if not line.startswith((" ", "nothing"))]
