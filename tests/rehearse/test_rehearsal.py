"""The rehearsal: every template is created or checked, and what is wrong in one is found."""

from pathlib import Path

import pytest

from local import rehearsal
from local.intrinsics import TemplateError
from local.rehearsal import CHECKED, CREATED, UNKNOWN, WRONG, Outcome

HEAD = "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n"


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Of the checkout's templates."""
    return rehearsal.rehearse(rehearsal.templates())


def test_every_resource_of_every_template_is_created_or_checked(outcomes: list[Outcome]) -> None:
    assert rehearsal.failures(outcomes) == []
    assert {each.template for each in outcomes} == {path.name for path in rehearsal.templates()}


def test_what_the_emulator_knows_is_created(outcomes: list[Outcome]) -> None:
    created = {each.kind for each in outcomes if each.what == CREATED}
    assert created >= {"AWS::IAM::Role", "AWS::Lambda::Function", "AWS::SQS::Queue", "AWS::Logs::LogGroup"}


def test_the_table_counts_every_resource(outcomes: list[Outcome]) -> None:
    total = [int(number) for number in rehearsal.table(outcomes)[-1].split()]
    assert sum(total) == len(outcomes)


def _of(tmp_path: Path, resources: str) -> list[Outcome]:
    path = tmp_path / "one.yaml"
    path.write_text(HEAD + resources)
    return rehearsal.rehearse({path: "eu-west-2"})


def _one(tmp_path: Path, resources: str) -> tuple[str, str]:
    [outcome] = [each for each in _of(tmp_path, resources) if each.name == "A"]
    return outcome.what, outcome.why


def test_a_type_that_nobody_knows(tmp_path: Path) -> None:
    assert _one(tmp_path, "  A: {Type: AWS::Nobody::Knows}\n")[0] == UNKNOWN


def test_a_property_that_is_not_there(tmp_path: Path) -> None:
    what, why = _one(tmp_path, "  A: {Type: AWS::SQS::Queue, Properties: {Colour: red}}\n")
    assert what == WRONG
    assert "Colour" in why


def test_a_value_that_is_not_allowed(tmp_path: Path) -> None:
    what, why = _one(tmp_path, "  A: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: soon}}\n")
    assert what == WRONG
    assert "VisibilityTimeout" in why


def test_an_attribute_that_is_not_there(tmp_path: Path) -> None:
    queue = "  A: {Type: AWS::SQS::Queue}\n  B: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt A.Colour}}\n"
    assert _one(tmp_path, queue) == (WRONG, "has no attribute Colour")


def test_an_import_that_nobody_exports(tmp_path: Path) -> None:
    what, why = _one(tmp_path, "  A: {Type: AWS::SQS::Queue, Properties: {QueueName: !ImportValue nobodys}}\n")
    assert what == WRONG
    assert "no template exports nobodys" in why


def test_a_circle(tmp_path: Path) -> None:
    queue = "  {}: {{Type: AWS::SQS::Queue, Properties: {{QueueName: !GetAtt {}.QueueName}}}}\n"
    with pytest.raises(TemplateError, match="circle: A, B"):
        _of(tmp_path, queue.format("A", "B") + queue.format("B", "A"))


def test_what_a_condition_leaves_out_is_checked_too(tmp_path: Path) -> None:
    never = "Conditions: {Never: !Equals [a, b]}\n"
    queue = "  A: {Type: AWS::CloudFront::Function, Condition: Never, Properties: {Colour: red}}\n"
    assert _one(tmp_path, queue + never)[0] == WRONG


def test_a_type_that_only_the_schema_knows(tmp_path: Path) -> None:
    policy = "{Type: AWS::S3::StorageLensGroup, Properties: {Name: a, Filter: {MatchAnyPrefix: [b]}}}"
    assert _one(tmp_path, f"  A: {policy}\n") == (CHECKED, "")
