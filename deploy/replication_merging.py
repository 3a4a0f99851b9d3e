"""The replication rules of an adopted bucket: one to every other bucket, beside the rules that are there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.bucket_state import Facts, Part, is_ours

_HIGHEST = 2_147_483_647


class Refused(Exception):
    """It cannot be put beside what is there; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Destination:
    """Another bucket. `kms_key` encrypts the copies there; empty where nothing is encrypted with a key of yours.
    `object_lock` is None where nobody looked."""

    bucket: str
    kms_key: str = ""
    object_lock: bool | None = None


@dataclass(frozen=True, slots=True)
class RuleChoices:
    """What every rule does. `keep_role`: where rules of somebody else are, theirs is the role of ours as well."""

    time_control: bool = False
    metrics: bool = True
    delete_markers: bool = True
    modifications: bool = True
    prefixes: tuple[str, ...] = ("",)
    keep_role: bool = False


def replication(
    found: Part, role: str, destinations: tuple[Destination, ...], choices: RuleChoices, facts: Facts
) -> tuple[str, list[dict[str, Any]]]:
    """The role of the configuration, and our rules in it. Raises Refused."""
    rules = (found or {}).get("Rules", [])
    others = [rule for rule in rules if not is_ours(rule, "ID")]
    if old := [rule.get("ID", "(no id)") for rule in others if "Filter" not in rule]:
        raise Refused(
            f"rule {', '.join(old)} is of the first form (a prefix and no filter), which takes no second destination: "
            "write it anew with a filter and a priority"
        )
    if others and found["Role"] != role and not choices.keep_role:
        raise Refused(
            f"its rules use the role {found['Role']}, and a bucket has one: keep it with --keep-role and let it "
            "replicate to the other buckets too, or give these rules ours"
        )
    ours: list[dict[str, Any]] = []
    for destination in destinations:
        _check(destination, facts)
        for number, prefix in enumerate(choices.prefixes):
            name = f"nearside-{destination.bucket}" + (f"-{number + 1}" if number else "")
            rule = _rule(name, prefix, destination, choices, facts)
            if not _is_there(rule, others):
                ours.append(rule)
    _number(ours, rules, others)
    return (found["Role"] if others else role), ours


def _check(destination: Destination, facts: Facts) -> None:
    if facts.object_lock and destination.object_lock is False:
        raise Refused(f"it has object lock and {destination.bucket} has not: S3 replicates only where both have it")
    if facts.kms and not destination.kms_key:
        raise Refused(
            f"it encrypts with a KMS key, and none is said for the copies in {destination.bucket}: say buckets.kms_key"
        )


def _rule(name: str, prefix: str, destination: Destination, choices: RuleChoices, facts: Facts) -> dict[str, Any]:
    criteria: dict[str, Any] = {"ReplicaModifications": _status(choices.modifications)}
    target: dict[str, Any] = {"Bucket": f"arn:aws:s3:::{destination.bucket}"}
    if choices.time_control:
        target["ReplicationTime"] = {"Status": "Enabled", "Time": {"Minutes": 15}}
        target["Metrics"] = {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}
    elif choices.metrics:
        target["Metrics"] = {"Status": "Enabled"}
    if destination.kms_key:
        criteria["SseKmsEncryptedObjects"] = _status(True)
        target["EncryptionConfiguration"] = {"ReplicaKmsKeyID": destination.kms_key}
    return {
        "ID": name,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "DeleteMarkerReplication": _status(choices.delete_markers),
        "SourceSelectionCriteria": criteria,
        "Destination": target,
    }


def _status(on: bool) -> dict[str, str]:
    return {"Status": "Enabled" if on else "Disabled"}


def _is_there(rule: Mapping[str, Any], others: list[dict[str, Any]]) -> bool:
    """Whether a rule of somebody else does just this. Raises Refused for one that does part of it: of two rules to one
    bucket S3 follows that of the higher priority, and no answer to which that should be is right for both."""
    for other in others:
        if other["Status"] != "Enabled" or other["Destination"]["Bucket"] != rule["Destination"]["Bucket"]:
            continue
        theirs, ours = _prefix(other), _prefix(rule)
        if not (theirs.startswith(ours) or ours.startswith(theirs)):
            continue
        if _meaning(other) == _meaning(rule) | {"prefix": theirs} and ours.startswith(theirs) and not _tags(other):
            return True
        unlike = sorted(key for key, value in _meaning(rule).items() if _meaning(other)[key] != value)
        raise Refused(
            f"rule {other.get('ID', '(no id)')} (priority {other.get('Priority', 0)}) already replicates to "
            f"{rule['Destination']['Bucket']} and differs from ours in {', '.join(unlike) or 'its tags'}: S3 would "
            "follow one of the two. Change it or take it away first, or choose the same for ours"
        )
    return False


def _prefix(rule: Mapping[str, Any]) -> str:
    chosen = rule["Filter"]
    return str(chosen.get("Prefix") or (chosen.get("And") or {}).get("Prefix") or "")


def _tags(rule: Mapping[str, Any]) -> bool:
    return "Tag" in rule["Filter"] or bool((rule["Filter"].get("And") or {}).get("Tags"))


def _meaning(rule: Mapping[str, Any]) -> dict[str, Any]:
    criteria, target = rule.get("SourceSelectionCriteria") or {}, rule["Destination"]
    return {
        "prefix": _prefix(rule),
        "delete markers": _on(rule, "DeleteMarkerReplication"),
        "replicas' changes": _on(criteria, "ReplicaModifications"),
        "KMS": (_on(criteria, "SseKmsEncryptedObjects"), target.get("EncryptionConfiguration")),
        "time control": _on(target, "ReplicationTime"),
        "metrics": _on(target, "Metrics"),
        "another owner": target.get("AccessControlTranslation"),
        "storage class": target.get("StorageClass"),
    }


def _on(of: Mapping[str, Any], name: str) -> bool:
    return bool((of.get(name) or {}).get("Status") == "Enabled")


def _number(ours: list[dict[str, Any]], rules: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """Each rule its own priority: the one it has, or one above all that are there. S3 takes no priority twice."""
    taken = {rule.get("Priority", 0) for rule in others}
    had = {rule["ID"]: rule.get("Priority", 0) for rule in rules if is_ours(rule, "ID")}
    for rule in ours:
        priority = had.get(rule["ID"])
        if priority is None or priority in taken:
            priority = max(taken | set(had.values()), default=0) + 1
        if priority > _HIGHEST:
            raise Refused("a rule has the highest priority there is, and ours would clash with it: give it a lower one")
        taken.add(priority)
        rule["Priority"] = priority
