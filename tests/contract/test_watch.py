"""What is watched: every alarm has an action and an entry in the runbook; the dashboard works for 1 to 8 regions."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from local.intrinsics import Resolver, load_yaml
from tests.contract.source_tree import ROOT

TEMPLATE = load_yaml((ROOT / "template.yaml").read_text())
WATCH = load_yaml((ROOT / "stacks" / "watch.yaml").read_text())
EDGE = load_yaml((ROOT / "stacks" / "edge.yaml").read_text())
PARAMETERS = WATCH["Parameters"]
FUNCTIONS: list[str] = PARAMETERS["Functions"]["AllowedValues"]
QUEUES: list[str] = PARAMETERS["Queues"]["AllowedValues"]
EVERYTHING = {"Functions": ",".join(FUNCTIONS), "Queues": ",".join(QUEUES)}
RUNBOOK = (ROOT / "docs" / "operations.md").read_text()
REGIONS = ["eu-west-2", "us-east-2", "ap-south-1", "sa-east-1", "eu-west-1", "us-west-2", "ca-central-1", "eu-north-1"]
# What does not tell by itself that it did not run.
SCHEDULED = {"Monitor", "Reconcile"}
# What works on until its time is nearly over, whenever there is work.
USES_ITS_TIME_UP = {"Replicator", "Reconcile"}


def _replaced(value: Any, name: str, item: str) -> Any:
    """A loop's fragment for one item (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-foreach.html)."""
    if isinstance(value, dict):
        if value == {"Ref": name}:
            return item
        return {_replaced(key, name, item): _replaced(each, name, item) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, name, item) for each in value]
    return value.replace(f"${{{name}}}", item) if isinstance(value, str) else value


def unrolled(lists: Mapping[str, list[str]]) -> dict[str, Any]:
    """The template's resources, with its loops over these lists written out."""
    found: dict[str, Any] = {}
    for key, resource in WATCH["Resources"].items():
        if key.startswith("Fn::ForEach::"):
            name, collection, fragment = resource
            for item in lists[collection["Ref"]]:
                found |= _replaced(fragment, name, item)
        else:
            found[key] = resource
    return found


RESOURCES = unrolled({"Functions": FUNCTIONS, "Queues": QUEUES})
ALARMS = {name: each for name, each in RESOURCES.items() if each["Type"] == "AWS::CloudWatch::Alarm"}
EDGE_ALARMS = {name: each for name, each in EDGE["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}


def _entries() -> dict[str, str]:
    """Each alarm's name in a heading of the runbook, and what is said below it."""
    parts = re.split(r"^(#{2,4}) (.*)$", RUNBOOK, flags=re.MULTILINE)
    return {name: parts[at + 2] for at in range(1, len(parts), 3) for name in re.findall(r"`(\w+)`", parts[at + 1])}


def _imports(value: Any) -> set[str]:
    """The names that a part of the template imports, without the application's."""
    if isinstance(value, list):
        return set().union(*map(_imports, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    if "Fn::ImportValue" not in value:
        return _imports(list(value.values()))
    name = Resolver(WATCH, EVERYTHING, REGIONS[0]).resolve(value["Fn::ImportValue"])
    return {str(name).removeprefix("nearside-")}


@pytest.mark.parametrize("name", sorted(ALARMS))
def test_every_alarm_is_told_and_has_its_own_entry_in_the_runbook(name: str) -> None:
    alarm = ALARMS[name]["Properties"]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmTopic"}]
    assert alarm["AlarmName"] == {"Fn::Sub": f"${{Application}}-{name}"}
    _is_in_the_runbook(name, alarm)


@pytest.mark.parametrize("name", sorted(EDGE_ALARMS))
def test_every_alarm_of_the_edge_is_told_by_choice_and_has_its_entry_too(name: str) -> None:
    alarm = EDGE_ALARMS[name]["Properties"]
    told = {"Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert alarm["AlarmActions"] == alarm["OKActions"] == told
    assert EDGE["Parameters"]["AlarmTopicArn"]["Default"] == ""
    # The topic's policy of stacks/watch.yaml lets in what begins with the application's name, as the edge's stack does.
    assert alarm["AlarmName"] == {"Fn::Sub": f"${{AWS::StackName}}-{name}"}
    _is_in_the_runbook(name, alarm)


def test_an_alarm_of_the_edge_is_made_where_what_it_watches_is() -> None:
    for name, alarm in EDGE_ALARMS.items():
        watched = set(re.findall(r"'Value': \{'Ref': '(\w+)'\}", str(alarm["Properties"])))
        conditions = {EDGE["Resources"][each].get("Condition") for each in watched} - {None}
        assert watched, name
        assert alarm.get("Condition") in (conditions or {None, "UseRouter"}), name


def _is_in_the_runbook(name: str, alarm: Mapping[str, Any]) -> None:
    assert "docs/operations.md" in json.dumps(alarm["AlarmDescription"])
    assert alarm["TreatMissingData"], "what silence means is not said"
    said = _entries().get(name, "")
    assert len(re.sub(r"(?m)^(    |\$ ).*$|\s", "", said)) > 100, "what it means is not said"
    assert re.search(r"^    \S", said, re.MULTILINE), "what to type is not said"


def test_the_runbook_has_no_entry_for_an_alarm_that_is_gone() -> None:
    alarms = RUNBOOK.partition("\n## The alarms\n")[2].partition("\n## ")[0]
    named = {
        name for heading in re.findall(r"^### (.*)$", alarms, re.MULTILINE) for name in re.findall(r"`(\w+)`", heading)
    }
    assert named == ALARMS.keys() | EDGE_ALARMS.keys()


def test_what_the_runbook_types_is_there() -> None:
    """The resources that its lines name: `of MonitorFunction`, `said PresignLogs`, `queue EventsQueue`."""
    typed = "\n".join(re.findall(r"^    .*$", RUNBOOK, re.MULTILINE))
    named = set(re.findall(r"(?<![\w-])(?:of|said|queue|ran) ([A-Z]\w+)", typed))
    resources = TEMPLATE["Resources"] | EDGE["Resources"]
    schedules = {
        f"{name}{event}"
        for name, each in resources.items()
        for event, of in each.get("Properties", {}).get("Events", {}).items()
        if of["Type"] == "ScheduleV2"
    }
    assert len(named) > 10
    assert named <= resources.keys() | schedules


def test_the_applications_alarms_are_in_one_place() -> None:
    assert "AWS::CloudWatch::Alarm" not in (ROOT / "template.yaml").read_text()
    assert not ALARMS.keys() & EDGE_ALARMS.keys()


def test_every_function_and_queue_of_the_application_is_watched() -> None:
    of_type: dict[str, set[str]] = {}
    for name, each in TEMPLATE["Resources"].items():
        of_type.setdefault(each["Type"], set()).add(name)
    assert {f"{name}Function" for name in FUNCTIONS} == of_type["AWS::Serverless::Function"]
    queues = {name for queue in QUEUES for name in (f"{queue}Queue", f"{queue}DeadLetters")}
    assert queues == of_type["AWS::SQS::Queue"]


def test_what_is_imported_is_exported_under_the_condition_of_its_resource() -> None:
    exported = {}
    for output in TEMPLATE["Outputs"].values():
        if "Export" in output:
            name = output["Export"]["Name"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
            exported[name] = output
    assert _imports(ALARMS) == exported.keys()
    for name, output in exported.items():
        value = output["Value"]
        assert value in ({"Ref": name}, {"Fn::GetAtt": [name, "QueueName"]})
        assert output.get("Condition") == TEMPLATE["Resources"][name].get("Condition")


def test_slow_is_near_each_functions_timeout() -> None:
    usual = TEMPLATE["Globals"]["Function"]["Timeout"]
    for name, function in WATCH["Mappings"]["FunctionFacts"].items():
        timeout = TEMPLATE["Resources"][f"{name}Function"]["Properties"].get("Timeout", usual)
        assert function["Slow"] == timeout * (950 if name in USES_ITS_TIME_UP else 800)
    assert list(WATCH["Mappings"]["FunctionFacts"]) == FUNCTIONS


def test_silence_is_a_failure_of_what_is_scheduled() -> None:
    silent = {name for name, each in WATCH["Mappings"]["FunctionFacts"].items() if each["Silence"] == "breaching"}
    scheduled = set()
    for name in FUNCTIONS:
        events = TEMPLATE["Resources"][f"{name}Function"]["Properties"].get("Events", {})
        # Silence is looked for in quarters of an hour: what runs once an hour is silent most of the time.
        rates = [each["Properties"]["ScheduleExpression"] for each in events.values() if each["Type"] == "ScheduleV2"]
        if any("minute" in rate for rate in rates):
            scheduled.add(name)
    assert silent == scheduled == SCHEDULED


def test_each_queue_is_watched_with_the_function_that_empties_it() -> None:
    for queue, each in WATCH["Mappings"]["QueueFacts"].items():
        events = TEMPLATE["Resources"][f"{each['Consumer']}Function"]["Properties"]["Events"]
        assert events["Queue"]["Properties"]["Queue"] == {"Fn::GetAtt": [f"{queue}Queue", "Arn"]}
    assert list(WATCH["Mappings"]["QueueFacts"]) == QUEUES


def test_mail_and_key_are_by_choice() -> None:
    assert PARAMETERS["Email"]["Default"] == PARAMETERS["TopicKey"]["Default"] == ""
    assert RESOURCES["AlarmMail"]["Condition"] == "HasEmail"
    assert RESOURCES["AlarmTopic"]["Properties"]["KmsMasterKeyId"]["Fn::If"][0] == "HasTopicKey"


@pytest.mark.parametrize("count", range(1, 9))
def test_the_dashboard_shows_every_region_of_a_list(count: int) -> None:
    regions = REGIONS[:count]
    parameters = {"Application": "my-near-side", "Regions": ",".join(regions)}
    resolver = Resolver(WATCH, parameters, regions[0])
    assert resolver.condition("IsPrimary")
    assert not Resolver(WATCH, parameters, "af-south-1").condition("IsPrimary")
    properties = resolver.resolve(RESOURCES["Dashboard"]["Properties"])
    body = json.loads(properties["DashboardBody"])
    assert properties["DashboardName"] == "my-near-side"
    [stack] = body["variables"]
    assert (stack["pattern"], stack["defaultValue"]) == ("STACKWORDS", "my near side")
    in_each = [each["properties"]["metrics"] for each in body["widgets"] if "Nearside" not in str(each["properties"])]
    assert len(in_each) == 11
    for metrics in in_each:
        assert [metric["region"] for [metric] in metrics] == regions
        assert {(metric["expression"], metric["label"]) for [metric] in metrics} == {
            (metrics[0][0]["expression"], "${PROP('Region')}")
        }
    places = [(each["x"], each["y"]) for each in body["widgets"]]
    assert len(set(places)) == len(places)


def test_what_is_watched_of_the_monitor_is_what_it_publishes() -> None:
    source = (ROOT / "layers" / "nearside" / "nearside" / "adapters" / "emf.py").read_text()
    for alarm in ("ReplicationBroken", "ReplicationLate"):
        properties = ALARMS[alarm]["Properties"]
        [dimension] = properties["Dimensions"]
        assert f'NAMESPACE = "{properties["Namespace"]}"' in source
        assert f'_write("{properties["MetricName"]}", ' in source
        assert f'{{"{dimension["Name"]}": "{dimension["Value"]}"}}' in source
    shown = set(
        re.findall(
            r"MetricName=.{0,2}\"(\w+).{0,2}\"", str(WATCH["Resources"]["Dashboard"]).split("Functions: errors")[0]
        )
    )
    assert {name for name in shown if f'"{name}"' not in source} == set()
    assert shown
