"""What adopting refuses, and that it then changes nothing."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.adopting import Adopter
from deploy.bucket_merging import EVENTS, merged
from deploy.bucket_state import Facts, State
from deploy.replication_merging import Destination, Refused, RuleChoices
from local.object_store import ACCOUNT
from tests.deploy.buckets import NOTHING, ROLE, account, states_of, wanted

OTHER = "arn:aws:s3:::acme-us"


def _rule(**changes: Any) -> dict[str, Any]:
    rule = {
        "ID": "theirs",
        "Priority": 5,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "SourceSelectionCriteria": {"ReplicaModifications": {"Status": "Enabled"}},
        "Destination": {"Bucket": OTHER, "Metrics": {"Status": "Enabled"}},
    }
    return {key: value for key, value in (rule | changes).items() if value is not None}


def _rules(*rules: dict[str, Any], role: str = ROLE) -> State:
    return NOTHING | {"versioning": "Enabled", "replication": {"Role": role, "Rules": list(rules)}}


def _told(state: State, **choices: Any) -> str:
    facts = choices.pop("facts", Facts("eu-west-2"))
    told = []
    for part in state:
        try:
            merged(part, state[part], wanted(2, **choices)[0], facts)
        except Refused as error:
            told.append(str(error))
    [one] = told
    return one


def test_a_rule_that_does_part_of_ours_to_the_same_bucket() -> None:
    no_markers = _rule(DeleteMarkerReplication={"Status": "Disabled"})
    assert "already replicates to arn:aws:s3:::acme-us and differs from ours in delete markers" in _told(
        _rules(no_markers)
    )
    assert "prefix" in _told(_rules(_rule(Filter={"Prefix": "images/"})))
    tagged = _rule(Filter={"And": {"Prefix": "", "Tags": [{"Key": "a", "Value": "b"}]}})
    assert "its tags" in _told(_rules(tagged))


def test_a_rule_that_does_all_of_ours_is_left_to_do_it() -> None:
    state = _rules(_rule())
    assert merged("replication", state["replication"], wanted(2)[0], Facts("eu-west-2")) == state["replication"]


def test_a_rule_beside_ours_keeps_its_priority_and_ours_is_above() -> None:
    state = _rules(_rule(Filter={"Prefix": "logs/"}))
    chosen = RuleChoices(prefixes=("images/",))
    rules = merged("replication", state["replication"], wanted(2, rules=chosen)[0], Facts("eu-west-2"))["Rules"]
    assert [(rule["ID"], rule["Priority"]) for rule in rules] == [("theirs", 5), ("nearside-acme-us", 6)]


def test_the_highest_priority_is_taken() -> None:
    backup = {"Bucket": "arn:aws:s3:::theirs-backup"}
    assert "highest priority" in _told(_rules(_rule(Priority=2_147_483_647, Destination=backup)))


def test_rules_of_the_first_form() -> None:
    assert "first form" in _told(_rules(_rule(Filter=None, Priority=None, Prefix="")))


def test_another_role() -> None:
    backup = _rule(Destination={"Bucket": "arn:aws:s3:::theirs-backup"})
    assert "a bucket has one" in _told(_rules(backup, role="arn:aws:iam::1:role/x"), rules=RuleChoices())


def test_object_lock_here_and_not_there() -> None:
    locked = Facts("eu-west-2", object_lock=True)
    there, unknown, lacking = (
        replace(wanted(2)[0], destinations=(Destination("acme-us", object_lock=lock),)) for lock in (True, None, False)
    )
    assert merged("replication", None, there, locked) == merged("replication", None, unknown, locked)
    with pytest.raises(Refused, match="object lock"):
        merged("replication", None, lacking, locked)


def test_object_lock_is_asked_of_the_other_bucket() -> None:
    with account([NOTHING, NOTHING], object_lock=True) as calls:
        facts = calls.facts
        calls.facts = lambda bucket, region: replace(facts(bucket, region), object_lock=bucket == "acme-eu")  # type: ignore[method-assign]  # one bucket is locked, the other is not
        [told] = Adopter(calls, wanted(2)).plan().refusals
        assert told.startswith("acme-eu: it has object lock and acme-us has not")


def test_a_policy_with_somebody_who_was_deleted() -> None:
    statement = {"Sid": "old", "Effect": "Allow", "Principal": {"AWS": "AROAIOSFODNN7EXAMPLE"}, "Action": "s3:*"}
    state = NOTHING | {"policy": {"Version": "2012-10-17", "Statement": [statement | {"Resource": "*"}]}}
    assert "statement old of its policy names a role or user that was deleted" in _told(state, tls_only=True)
    assert (
        merged("policy", state["policy"], wanted(2)[0], Facts("eu-west-2")) == state["policy"]
    )  # left alone, it may be


def test_lifecycle_rules_of_the_first_form_get_one_of_the_first_form() -> None:
    old = {"ID": "logs", "Status": "Enabled", "Prefix": "logs/", "Expiration": {"Days": 1}}
    one = wanted(2, lifecycle=True)[0]
    for found, form in ((old, {"Prefix": ""}), (old | {"ID": "nearside-old-versions"}, {"Filter": {"Prefix": ""}})):
        value = merged("lifecycle", {"Rules": [found]}, one, Facts("eu-west-2"))
        assert value["Rules"][1].items() >= form.items()


def test_encryption_without_a_key_for_the_copies() -> None:
    assert "kms_key" in _told(NOTHING, facts=Facts("eu-west-2", kms=True))


def test_versioning_that_only_the_root_user_can_turn_on() -> None:
    assert "MFA delete" in _told(NOTHING, facts=Facts("eu-west-2", mfa_delete=True))


@pytest.mark.parametrize("event", ["s3:ObjectCreated:*", "s3:ObjectCreated:Put", "s3:ObjectRemoved:Delete"])
def test_a_notification_that_takes_an_event_of_ours(event: str) -> None:
    theirs = {"Id": "theirs", "TopicArn": "arn:aws:sns:eu-west-2:1:theirs", "Events": [event]}
    assert f"theirs already takes {event}" in _told(NOTHING | {"notifications": {"TopicConfigurations": [theirs]}})


def test_a_notification_to_our_queue_is_left_to_do_it() -> None:
    own = {"Id": "theirs", "QueueArn": f"arn:aws:sqs:eu-west-2:{ACCOUNT}:events", "Events": list(EVENTS)}
    found = {"QueueConfigurations": [own], "EventBridgeConfiguration": {}}
    assert merged("notifications", found, wanted(2)[0], Facts("eu-west-2")) == found


def test_a_policy_that_would_be_too_long() -> None:
    long = [
        {"Sid": f"a{n}", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "x" * 100}
        for n in range(150)
    ]
    assert "20 KB" in _told(NOTHING | {"policy": {"Version": "2012-10-17", "Statement": long}}, tls_only=True)


def test_one_refusal_and_no_bucket_is_changed() -> None:
    with account([NOTHING, NOTHING]) as calls:
        before = states_of(calls, 2)
        one, other = wanted(2)
        other = replace(other, region="us-west-1")
        with pytest.raises(Refused, match="acme-us: it is in us-east-2, and the settings say us-west-1"):
            Adopter(calls, [one, other]).apply()
        assert (states_of(calls, 2), calls.writes) == (before, 0)


def test_a_bucket_that_is_not_there() -> None:
    with account([NOTHING]) as calls:
        [missing] = [line for line in Adopter(calls, wanted(2)).plan().lines() if line.startswith("refused")]
        assert missing == "refused: acme-us: there is no such bucket"


def test_suspended_versioning_is_explained() -> None:
    with account([NOTHING | {"versioning": "Suspended"}, NOTHING]) as calls:
        told = "\n".join(Adopter(calls, wanted(2)).plan().notes)
        assert "acme-eu: versioning is suspended" in told
        assert "`null`" in told


def test_requesters_who_pay() -> None:
    with account([NOTHING, NOTHING]) as calls:
        facts = calls.facts
        calls.facts = lambda *of: replace(facts(*of), requester_pays=True)  # type: ignore[method-assign]  # no bucket of moto says it
        assert len([why for why in Adopter(calls, wanted(2)).plan().refusals if "requesters pay" in why]) == 2
