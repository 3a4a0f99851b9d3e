"""What is typed: what it answers, and with which exit code. AWS is a world of the fakes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy import commands
from deploy.parameters import StackId
from deploy.planning import Stack
from tests.deploy.fakes import FakeCloud, FakeSam
from tests.deploy.world import World

FILE = """
name = "acme"
[[regions]]
region = "eu-west-2"
bucket = "acme-eu"
[[regions]]
region = "us-east-2"
bucket = "acme-us"
[api]
issuer = "https://example.com"
"""
PUT_OUT = [("eu-west-2", "A"), ("eu-west-2", "B"), ("us-east-1", "C"), ("eu-west-2", "E"), ("x", "D")]
type Typed = Callable[..., int]


class Account(FakeCloud):
    """The rest of what the commands ask of AWS."""

    def account(self, region: str) -> str:
        return "123456789012"

    def checker_addresses(self) -> list[str]:
        return ["192.0.2.0/24"]

    def mrap_status(self, name: str) -> str:
        return "READY"

    def begin_drift(self, stack: StackId) -> str:
        return "1"

    def drift(self, stack: StackId, detection: str) -> Mapping[str, str] | None:
        return {}

    def client(self, kind: str, region: str) -> Any:
        raise AssertionError(f"{kind} is not asked")


@pytest.fixture
def there() -> World:
    return World()


@pytest.fixture
def typed(there: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """A function that types a command; `answers` are what is typed on its questions, and `file` the settings."""
    monkeypatch.setattr(commands, "Aws", lambda profile: Account(there))
    monkeypatch.setattr(commands, "Sam", lambda root, profile: FakeSam(there))
    monkeypatch.setattr("deploy.commands.time.sleep", lambda seconds: there.tick())

    def typing(*arguments: str, file: str = FILE, answers: tuple[str, ...] = ()) -> int:
        (tmp_path / "nearside.toml").write_text(file)
        given = iter(answers)
        monkeypatch.setattr("builtins.input", lambda question: _next(given))
        return commands.main(["--settings", str(tmp_path / "nearside.toml"), *arguments])

    return typing


def _next(given: Any) -> str:
    for each in given:
        return str(each)
    raise EOFError


def test_a_plan_is_shown_and_nothing_done(typed: Typed, there: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("plan") == 0
    said = capsys.readouterr().out
    assert said.startswith("acme in account 123456789012\ncreate   acme-bucket in eu-west-2 (bucket eu-west-2)\n")
    assert there.stacks == {}


@pytest.mark.parametrize("answers", [(), ("n",), ("",)])
def test_a_deployment_wants_a_yes(typed: Typed, there: World, answers: tuple[str, ...]) -> None:
    assert typed("deploy", answers=answers) == 1
    assert there.stacks == {}
    assert typed("deploy", answers=("y",)) == 0
    assert there.wrong == []
    assert ("acme-watch", "us-east-2") in there.stacks


def test_a_destruction_wants_the_name(typed: Typed, there: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("deploy", "--yes") == 0
    assert typed("destroy", answers=("yes",)) == 1
    assert there.stacks
    assert typed("destroy", answers=("acme",)) == 0
    assert there.stacks == {}
    assert "aws dynamodb delete-table --region eu-west-2 --table-name acme-catalog" in capsys.readouterr().out


def test_a_region_is_destroyed_when_it_is_out_of_the_settings(typed: Typed, there: World) -> None:
    assert typed("deploy", "--yes") == 0
    assert typed("destroy", "--region", "us-east-2", answers=("us-east-2",)) == 1
    less = FILE.replace('[[regions]]\nregion = "us-east-2"\nbucket = "acme-us"\n', "")
    assert typed("deploy", "--yes", file=less) == 0
    there.points = {name: buckets for name, buckets in there.points.items() if "acme-us" not in buckets}
    assert typed("destroy", "--region", "us-east-2", file=less, answers=("acme",)) == 1
    assert typed("destroy", "--region", "us-east-2", file=less, answers=("us-east-2",)) == 0
    assert {region for _, region in there.stacks} == {"eu-west-2"}


def test_what_fails_is_said_and_exits_with_one(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("plan", file="name = 1") == 1
    assert capsys.readouterr().err.startswith("deploy: ")


def test_what_is_stopped_says_that_cloudformation_goes_on(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeSam, "deploy", stopped)
    assert typed("deploy", "--yes") == 130
    assert "What CloudFormation has begun goes on by itself" in capsys.readouterr().err


def test_the_status_is_shown(typed: Typed, capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("status", "--drift") == 0
    assert "acme-global in eu-west-2: not there" in capsys.readouterr().out


def test_the_page_of_the_checkout_is_put_and_its_address_told(
    typed: Typed, there: World, capsys: pytest.CaptureFixture[str]
) -> None:
    page = FILE + '[page]\nenabled = true\nclient_id = "page"\n'
    assert typed("deploy", "--yes", file=page) == 0
    assert there.files.keys() > {"app/index.html", "app/app.js", "app/gallery/index.html", "app/config.json"}
    assert there.seen.keys() == there.files.keys() - {"release"}
    assert typed("status", file=page) == 0
    assert "  the page: https://d1.cloudfront.net/app/" in capsys.readouterr().out


def test_buckets_let_the_health_checkers_in_where_there_are_health_checks(typed: Typed, there: World) -> None:
    edge = '[edge]\nenabled = true\ntxt_name = "origin.example.com"\n'
    assert typed("deploy", "--yes", file=FILE + edge) == 0
    assert there.stacks["acme-bucket", "eu-west-2"].parameters["ProbeAddresses"] == ""
    assert typed("deploy", "--yes", file=f'{FILE}{edge}txt_zone_id = "Z1"\n') == 0
    assert there.stacks["acme-bucket", "eu-west-2"].parameters["ProbeAddresses"] == "192.0.2.0/24"


def test_adopting_is_given_settings_and_outputs(typed: Typed, there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []

    def run(options: Any, settings: Any, client: Any, output: Callable[[str, str], str]) -> int:
        found.extend((settings.name, str(options.apply)))
        found.extend(output(*each) for each in PUT_OUT)
        return 7

    monkeypatch.setattr("deploy.adopting_command.run", run)
    for name, region, key in [
        ("acme", "eu-west-2", "A"),
        ("acme-bucket", "eu-west-2", "B"),
        ("acme-edge", "us-east-1", "C"),
        ("acme-page", "eu-west-2", "E"),
    ]:
        there.stacks[name, region] = Stack("CREATE_COMPLETE", outputs={key: f"{key} of {name}"})
    assert typed("adopt", "--apply") == 7
    assert found == ["acme", "True", "A of acme", "B of acme-bucket", "C of acme-edge", "E of acme-page", ""]


def test_without_credentials_it_says_where_they_may_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "nearside.toml").write_text(FILE)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert commands.main(["--settings", str(tmp_path / "nearside.toml"), "plan"]) == 1
    assert "name a `profile` in the settings, or set AWS_PROFILE" in capsys.readouterr().err
