"""What the steps pass is what the templates take, and samconfig.toml has an environment for each."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from deploy import DeployFailed
from deploy.edge_settings import Edge
from deploy.parameters import Later, StackId, access_point_name
from deploy.settings import BadDeploySettings, Settings, parse
from deploy.settings_checks import BOUNDS, RETENTION_DAYS
from deploy.steps import Step, steps
from deploy.templates import Template
from deploy.templates import read as read_anew
from tests.contract.source_tree import ROOT

ARN = "arn:aws:kms:{0}:123456789012:key/1"
REGIONS = ("eu-west-2", "us-east-2", "eu-west-1")
KEYS = {region: ARN.format(region) for region in REGIONS}
FULL: dict[str, Any] = {
    "regions": [{"region": region, "bucket": f"acme-{region}"} for region in REGIONS],
    "buckets": {"kms_key": KEYS, "probe_addresses": ["192.0.2.0/24"]},
    "security": {"kms_key": KEYS},
    "alarms": {"topic_key": KEYS},
    "api": {"issuer": "https://example.com"},
    "edge": {"enabled": True, "txt_name": "origin.example.com", "origin_auth": "sigv4"},
    "page": {"enabled": True, "client_id": "page"},
    "gateway": {"backends": "backends.json"},
}
# What no setting reaches, and why.
LEFT = {
    ("template.yaml", "S3Endpoint"): "here the bucket is AWS's own; another provider's is a place of the gateway",
    ("template.yaml", "Architecture"): "it is what `make build` has built: x86_64 is for this machine only",
}


FULL_OF_DEFAULTS = {"regions": FULL["regions"], "api": FULL["api"]}
EDGE_FIELDS = {"".join(map(str.title, name.split("_"))) for name in Edge.__struct_fields__} - {"Enabled"}


@cache
def read(root: Path, name: str) -> Template:
    """Once: YAML is slow."""
    return read_anew(root, name)


class Everything(dict[StackId, dict[str, str]]):
    """Outputs of every stack that a template declares."""

    def get(self, stack: StackId, default: Any = None) -> Any:
        kinds = {"bucket": "stacks/bucket.yaml", "global": "stacks/global.yaml", "edge": "stacks/edge.yaml"}
        kinds["page"] = "stacks/page.yaml"
        template = kinds.get(stack[0].rpartition("-")[2], "template.yaml")
        declared = re.split(r"^Outputs:", (ROOT / template).read_text(), flags=re.MULTILINE)[1]
        values = {
            "MrapAlias": "abc.mrap",
            "EventsQueueArn": "arn:aws:sqs:eu-west-2:123456789012:q",
            "DistributionArn": "arn:aws:cloudfront::123456789012:distribution/E1",
            "AccessIdentityUser": "ab",
            "ApiUrl": "https://a1.execute-api.eu-west-2.amazonaws.com",
            "PageOrigin": "https://d1.cloudfront.net",
        }
        return {name: values.get(name, "") for name in re.findall(r"^  (\w+):$", declared, re.MULTILINE)}


@pytest.fixture
def full(tmp_path: Path) -> Settings:
    (tmp_path / "backends.json").write_text("{}")
    return parse(FULL, tmp_path)


def test_every_parameter_is_one_of_its_template_and_every_needed_one_is_passed(full: Settings) -> None:
    for step in steps(full):
        read(ROOT, step.template).whole(step.parameters({}))


def test_every_parameter_can_be_set_or_is_left_for_a_reason(full: Settings) -> None:
    given = {(step.template, name) for step in steps(full) for name in step.parameters({})}
    given |= {("stacks/edge.yaml", name) for name in EDGE_FIELDS}
    declared = {(step.template, name) for step in steps(full) for name in read(ROOT, step.template).parameters}
    assert declared - given == LEFT.keys()


def values(raw: dict[str, Any], folder: Path) -> dict[tuple[str, str], str]:
    """What the steps of the settings give, by template and parameter."""
    return {
        (step.template, name): str(value)
        for step in steps(parse(raw, folder))
        for name, value in step.parameters({}).items()
    }


@pytest.mark.parametrize(("field", "least", "most"), BOUNDS)
def test_a_bounded_setting_has_its_parameters_bounds_and_default(
    full: Settings, tmp_path: Path, field: str, least: int, most: int
) -> None:
    table, _, name = field.partition(".")
    before, after = (values(FULL | {table: FULL.get(table, {}) | changed}, tmp_path) for changed in ({}, {name: most}))
    changed = [each for each in after if after[each] != before[each]]
    assert changed, "the setting changes nothing"
    for template, parameter in changed:
        declared = read(ROOT, template).parameters[parameter]
        assert (declared["MinValue"], declared.get("MaxValue", most)) == (least, most)
        assert before[template, parameter] == str(declared["Default"])
    for beyond in (least - 1, most + 1):
        with pytest.raises(BadDeploySettings, match=f"{field} is {beyond}"):
            parse(FULL | {table: FULL.get(table, {}) | {name: beyond}}, tmp_path)


def test_logs_are_kept_for_what_the_templates_allow(full: Settings) -> None:
    for template in ("template.yaml", "stacks/edge.yaml"):
        declared = read(ROOT, template).parameters["LogRetentionDays"]
        assert (tuple(declared["AllowedValues"]), declared["Default"]) == (RETENTION_DAYS, 30)


def test_the_access_points_name_changes_with_its_buckets_alone_and_is_one_that_s3_takes() -> None:
    def name(*regions: str, called: str = "acme") -> str:
        buckets = [{"region": region, "bucket": f"acme-{region}"} for region in regions]
        return access_point_name(parse(FULL_OF_DEFAULTS | {"name": called, "regions": buckets}, ROOT))

    assert name("eu-west-2", "us-east-2", "eu-west-1") == name("eu-west-2", "eu-west-1", "us-east-2")
    assert len({name("eu-west-2"), name("eu-west-2", "us-east-2"), name("eu-west-2", "eu-west-1")}) == 3
    assert re.fullmatch("acme-[0-9a-f]{8}", name("eu-west-2"))
    assert len(name("eu-west-2", called="a" * 30)) <= 50


def test_the_probes_key_is_the_edges_where_it_has_one() -> None:
    edge = {"enabled": True, "txt_name": "origin.example.com"}
    assert values(FULL_OF_DEFAULTS | {"edge": edge}, ROOT)["stacks/bucket.yaml", "ProbeKey"] == ".nearside/probe"
    assert read(ROOT, "stacks/edge.yaml").parameters["ProbeKey"]["Default"] == ".nearside/probe"
    other = values(FULL_OF_DEFAULTS | {"edge": edge | {"probe_key": "a/b"}}, ROOT)
    assert {other["stacks/bucket.yaml", "ProbeKey"], other["stacks/edge.yaml", "ProbeKey"]} == {"a/b"}


@pytest.mark.parametrize("adopt", [False, True])
def test_what_is_waited_for_is_put_out_and_fits_the_templates_patterns(tmp_path: Path, *, adopt: bool) -> None:
    (tmp_path / "backends.json").write_text("{}")
    for step in steps(parse(FULL | {"regions": [each | {"adopt": adopt} for each in FULL["regions"]]}, tmp_path)):
        template = read(ROOT, step.template)
        for name, value in template.whole(step.parameters(Everything())).items():
            assert not isinstance(value, Later), (step.key, name)
            declared = template.parameters[name]
            if pattern := declared.get("AllowedPattern"):
                assert re.search(pattern, value), (step.key, name, value)
            if allowed := declared.get("AllowedValues"):
                each = value.split(",") if declared["Type"] == "CommaDelimitedList" else [value]
                assert {*each} <= {str(one) for one in allowed}, (step.key, name, value)


def test_a_step_needs_earlier_steps_only(full: Settings) -> None:
    before: set[str] = set()
    for step in steps(full):
        assert {*step.needs} <= before, step.key
        before.add(step.key)


def test_the_guide_has_the_steps_in_their_order(full: Settings) -> None:
    table = re.findall(r"^\| (\w+) \| `<name>", (ROOT / "docs/deploy.md").read_text(), re.MULTILINE)
    assert table == list(dict.fromkeys(step.key.partition(" ")[0] for step in steps(full)))


def test_an_environment_of_samconfig_deploys_the_steps_template(full: Settings) -> None:
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())

    def template(step: Step) -> str:
        return str(
            config[step.environment]["deploy"]["parameters"].get("template_file", ".aws-sam/build/template.yaml")
        )

    built = {"template.yaml": ".aws-sam/build/template.yaml", "stacks/edge.yaml": ".aws-sam/edge/template.yaml"}
    for step in steps(full):
        assert template(step) == built.get(step.template, step.template)
        given = config[step.environment]["deploy"]["parameters"]
        assert "CAPABILITY_AUTO_EXPAND" in given["capabilities"]
        extended = "AWS::LanguageExtensions" in (ROOT / step.template).read_text()
        assert given.get("language_extensions", False) == extended, "without it SAM ends on Fn::ForEach"


def test_the_edges_settings_are_its_templates_parameters() -> None:
    declared = set(read(ROOT, "stacks/edge.yaml").parameters)
    places = {"Bucket", "BucketRegion", "ReplicaBucket", "ReplicaRegion", "MrapAlias", "KmsKeyArns"}
    assert declared - EDGE_FIELDS == places
    assert declared >= EDGE_FIELDS


def test_the_hash_changes_with_a_functions_code(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "t.yaml").write_text("Resources: {F: {Type: X, Properties: {CodeUri: code/}}}")
    (tmp_path / "code" / "a.py").write_text("1")
    before = read_anew(tmp_path, "t.yaml").source
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_text("1")
    assert read_anew(tmp_path, "t.yaml").source == before
    (tmp_path / "code" / "a.py").write_text("2")
    assert read_anew(tmp_path, "t.yaml").source != before


def test_a_value_that_cloudformation_would_not_take_is_refused_before_anything_is_done() -> None:
    template = read(ROOT, "stacks/global.yaml")
    with pytest.raises(
        DeployFailed, match=r"^Buckets of stacks/global.yaml has 4097 bytes, and CloudFormation takes 4096$"
    ):
        template.whole({"Buckets": "é" * 2048 + "b"})
    assert template.whole({"Buckets": "b" * 4096})["Buckets"] == "b" * 4096
