"""`make adopt` as it is typed, against moto."""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from deploy.adopting_command import add_arguments, run
from deploy.settings import Settings, parse
from local.object_store import ACCOUNT
from tests.deploy.buckets import BUCKETS, NOTHING, RICH, ROLE, alike, as_undone, states_of
from tests.deploy.moto_buckets import MotoCalls, make_client, moto_account

QUEUES = {region: f"arn:aws:sqs:{region}:{ACCOUNT}:events" for region in BUCKETS}
STACKS = {"EventsQueueArn": "queue", "ReplicationRoleArn": ROLE, "BatchReplicationRoleArn": ROLE}
EDGE = {
    "DistributionArn": f"arn:aws:cloudfront::{ACCOUNT}:distribution/E1",
    "AccessIdentityUser": "0123456789abcdef",
}


def _settings(count: int = 2, made: tuple[str, ...] = (), **tables: Any) -> Settings:
    regions = [
        {"region": region, "bucket": bucket, "adopt": bucket not in made}
        for region, bucket in [*BUCKETS.items()][:count]
    ]
    return parse({"regions": regions, "api": {"issuer": "https://example.com"}} | tables, Path())


class Typed:
    """The command with what the stacks put out; `said` is what it printed last."""

    def __init__(self, capsys: pytest.CaptureFixture[str], settings: Settings) -> None:
        self._capsys = capsys
        self.settings = settings
        self.outputs: Mapping[str, str] = STACKS
        self.said: list[str] = []

    def __call__(self, *arguments: str) -> int:
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        self._capsys.readouterr()
        code = run(parser.parse_args(arguments), self.settings, make_client, self._output)
        self.said = self._capsys.readouterr().out.splitlines()
        return code

    def _output(self, region: str, key: str) -> str:
        if key in EDGE and region != "us-east-1":
            return ""
        found = self.outputs.get(key, "")
        return QUEUES[region] if found == "queue" else found


def _refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


@pytest.fixture
def adopt(capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(capsys, _settings(buckets={"cors_origins": ["https://example.com"]}))


@pytest.fixture
def calls() -> Iterator[MotoCalls]:
    with moto_account([RICH, NOTHING]) as calls:
        yield calls


def test_shown_then_done_then_undone(adopt: Typed, calls: MotoCalls) -> None:
    before = states_of(calls, 2)
    asked = ("--tls-only", "--lifecycle", "--keep-role")
    assert adopt(*asked) == 0
    assert "acme-eu: replication: + nearside-acme-us" in adopt.said
    assert "acme-us: policy: + NearsideTlsOnly" in adopt.said
    days = "versions are deleted 90 days after they were overwritten or deleted, the older ones at once"
    assert f"note: acme-us: {days}" in adopt.said
    assert adopt.said[-1] == "nothing is changed yet: make adopt APPLY=1 (--apply) does it"
    assert states_of(calls, 2) == before
    assert adopt(*asked, "--apply") == 0
    changed = states_of(calls, 2)
    assert [rule["ID"] for rule in changed[0]["replication"]["Rules"]] == ["backup", "nearside-acme-us"]
    assert adopt(*asked) == 0
    assert adopt.said == ["nothing to change"]
    assert adopt("--keep-role", "--apply") == 0  # what is there by choice stays until it is chosen away
    assert (adopt.said, states_of(calls, 2)) == (["nothing to change"], changed)
    assert adopt("--keep-role", "--no-tls-only", "--no-lifecycle") == 0
    assert "acme-us: policy: - NearsideTlsOnly" in adopt.said
    assert adopt("--undo") == 0
    assert alike(states_of(calls, 2), as_undone(before)) == []
    assert adopt("--undo") == 0
    assert adopt.said == ["nothing to undo"]


def test_before_and_after_make_deploy(adopt: Typed, calls: MotoCalls) -> None:
    before, adopt.outputs = states_of(calls, 2), {}
    adopt.settings = _settings(edge={"enabled": True, "txt_name": "origin.example.com"})
    assert adopt("--apply", "--batch", "--keep-role", "--tls-only") == 0
    waits = "replication, notifications, the edge's policy, the Batch Replication job"
    assert f"waits for make deploy: acme-us: {waits}" in adopt.said
    assert adopt.said[-1] == "what waits is done by running make adopt APPLY=1 again after make deploy"
    between = states_of(calls, 2)
    assert [state["versioning"] for state in between] == ["Enabled", "Enabled"]
    for part in ("notifications", "replication"):
        assert [state[part] for state in between] == [state[part] for state in before]
    assert adopt("--keep-role") == 0
    assert not [line for line in adopt.said if not line.startswith("waits")][1:]
    # Somebody changes what was not touched yet: undoing goes back to that.
    heard = {"QueueConfigurations": [{"Id": "new", "QueueArn": QUEUES["us-east-2"], "Events": ["s3:ObjectTagging:*"]}]}
    calls.write("notifications", "acme-us", "us-east-2", heard)
    adopt.outputs = STACKS | EDGE
    with patch("deploy.adopting_command.AwsCalls", lambda *_: calls):  # which knows jobs
        assert adopt("--apply", "--batch", "--keep-role") == 0
    assert "acme-us: policy: + NearsideDistribution; + NearsideAccessIdentity" in adopt.said
    assert (len(calls.jobs), all(state["replication"] for state in states_of(calls, 2))) == (2, True)
    assert adopt("--keep-role") == 0
    assert adopt.said == ["nothing to change"]
    assert adopt("--undo") == 0
    assert alike(states_of(calls, 2), as_undone([before[0], before[1] | {"notifications": heard}])) == []


def test_what_the_stacks_no_longer_say_is_left_as_it_is(adopt: Typed, calls: MotoCalls) -> None:
    adopt.settings, adopt.outputs = _settings(edge={"enabled": True, "txt_name": "origin.example.com"}), STACKS | EDGE
    assert adopt("--apply", "--keep-role") == 0
    there, adopt.outputs = states_of(calls, 2), {}
    assert adopt("--apply", "--keep-role") == 0
    assert states_of(calls, 2) == there


def test_an_edge_that_is_taken_away(adopt: Typed, calls: MotoCalls) -> None:
    adopt.settings, adopt.outputs = _settings(edge={"enabled": True, "txt_name": "origin.example.com"}), STACKS | EDGE
    assert adopt("--apply", "--keep-role") == 0
    adopt.settings = _settings()
    assert adopt("--apply", "--keep-role") == 0
    assert "acme-eu: policy: - NearsideDistribution; - NearsideAccessIdentity" in adopt.said


def test_health_checkers_read_the_probe(adopt: Typed, calls: MotoCalls) -> None:
    edge = {"enabled": True, "txt_name": "origin.example.com", "txt_zone_id": "Z1"}
    probes = {"probe_addresses": ["15.177.0.0/18", "54.183.255.128/26"]}
    adopt.settings, adopt.outputs = _settings(edge=edge, buckets=probes), STACKS | EDGE
    assert adopt("--apply", "--keep-role") == 0
    statement = calls.read("policy", "acme-us", "us-east-2")["Statement"][-1]
    assert statement["Resource"] == "arn:aws:s3:::acme-us/.nearside/probe"
    assert statement["Condition"] == {"IpAddress": {"aws:SourceIp": probes["probe_addresses"]}}
    assert adopt("--keep-role") == 0
    assert adopt.said == ["nothing to change"]


def test_beside_buckets_that_cloudformation_makes(adopt: Typed, calls: MotoCalls) -> None:
    keys = {region: f"arn:aws:kms:{region}:{ACCOUNT}:key/1" for region in BUCKETS}
    adopt.settings = _settings(3, made=("acme-us", "acme-ap"), buckets={"kms_key": keys})
    refusal = _refusal("InvalidRequest", "Destination bucket must exist.")
    with patch.object(make_client("s3", "eu-west-2"), "put_bucket_replication", side_effect=refusal):
        assert adopt("--apply", "--keep-role") == 1
    assert adopt.said[-2].endswith("a bucket that the rules copy to is not there yet: `make deploy` makes it")
    assert adopt("--apply", "--keep-role") == 0
    own, other = states_of(calls, 2)
    rules = {rule["ID"]: rule["Destination"] for rule in own["replication"]["Rules"]}
    assert rules["nearside-acme-ap"]["EncryptionConfiguration"] == {"ReplicaKmsKeyID": keys["ap-southeast-2"]}
    assert (len(rules), other) == (3, NOTHING)


def test_made_buckets_have_a_lock_by_the_settings(adopt: Typed) -> None:
    with moto_account([NOTHING, NOTHING], object_lock=True):
        adopt.settings = _settings(made=("acme-us",))
        assert adopt() == 1
        assert adopt.said[-1].startswith("refused: acme-eu: it has object lock and acme-us has not")
        adopt.settings = _settings(made=("acme-us",), buckets={"object_lock_days": 1})
        assert adopt() == 0


def test_one_bucket_of_two(adopt: Typed, calls: MotoCalls) -> None:
    before = states_of(calls, 2)
    assert adopt("--apply", "--bucket", "acme-us") == 0
    own, other = states_of(calls, 2)
    assert (own, bool(other["replication"])) == (before[0], True)
    assert adopt("--bucket", "acme-usa") == 1
    assert adopt.said == ["acme-usa: no region of the settings has it with `adopt = true`"]


def test_the_page_is_let_in_when_it_is_there(adopt: Typed, calls: MotoCalls) -> None:
    adopt.settings = _settings(page={"enabled": True, "client_id": "page"})
    assert adopt("--apply", "--keep-role") == 0
    assert any("the page's CORS" in line for line in adopt.said)
    adopt.outputs = {**STACKS, "PageOrigin": "https://d1.cloudfront.net"}
    assert adopt("--apply", "--keep-role") == 0
    assert not any("the page's CORS" in line for line in adopt.said)
    [*_, ours] = calls.read("cors", "acme-us", "us-east-2")["CORSRules"]
    assert (ours["ID"], ours["AllowedOrigins"]) == ("nearside-cors", ["https://d1.cloudfront.net"])
    assert adopt("--keep-role") == 0
    assert adopt.said == ["nothing to change"]
    named = {"domain": "a.example.com", "certificate": "arn:aws:acm:us-east-1:123456789012:certificate/1"}
    adopt.settings, adopt.outputs = _settings(page={"enabled": True, "client_id": "page", **named}), STACKS
    assert adopt("--apply", "--keep-role") == 0
    [*_, ours] = calls.read("cors", "acme-us", "us-east-2")["CORSRules"]
    assert ours["AllowedOrigins"] == ["https://a.example.com"]


def test_nothing_to_adopt(adopt: Typed) -> None:
    adopt.settings = _settings(made=("acme-eu", "acme-us"))
    assert adopt("--apply") == 0
    assert adopt.said == ["no region of the settings has `adopt = true`: nothing to do"]


def test_refused_in_the_middle_and_run_again(adopt: Typed, calls: MotoCalls) -> None:
    before = states_of(calls, 2)
    client = make_client("s3", "us-east-2")
    refusal = _refusal("InvalidArgument", "Unable to validate the following destination configurations")
    with patch.object(client, "put_bucket_notification_configuration", side_effect=refusal):
        assert adopt("--apply", "--keep-role") == 1
    assert "done: acme-eu: notifications: + nearside-events" in adopt.said
    assert adopt.said[-2].startswith("stopped: acme-us: notifications: AWS refuses it (InvalidArgument: Unable")
    assert "get-bucket-notification-configuration" in adopt.said[-2]
    assert adopt("--apply", "--keep-role") == 0
    assert "acme-us: notifications: + nearside-events" in adopt.said
    assert not any(line.startswith("acme-us: cors") for line in adopt.said)
    with patch.object(client, "put_bucket_versioning", side_effect=_refusal("AccessDenied", "no")):
        assert adopt("--undo") == 1
    assert "It needs s3:PutBucketVersioning" in adopt.said[-2]
    assert adopt("--undo") == 0
    assert alike(states_of(calls, 2), as_undone(before)) == []


def test_what_may_not_be_read_is_refused_before_anything_is_changed(adopt: Typed, calls: MotoCalls) -> None:
    before = states_of(calls, 2)
    with patch.object(make_client("s3", "us-east-2"), "get_bucket_policy", side_effect=_refusal("AccessDenied", "no")):
        assert adopt("--apply", "--keep-role") == 1
    assert adopt.said == [
        "refused: acme-us: policy: AWS refuses it (AccessDenied: no). It needs s3:GetBucketPolicy",
    ]
    assert states_of(calls, 2) == before


def test_somebody_changed_it_since(adopt: Typed, calls: MotoCalls) -> None:
    assert adopt("--apply", "--keep-role") == 0
    calls.write("cors", "acme-us", "us-east-2", {"CORSRules": [{"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}]})
    assert adopt("--undo") == 1
    assert adopt.said[0].startswith("changed since by somebody else; nothing was undone")
    assert adopt("--undo", "--keep-others") == 0
