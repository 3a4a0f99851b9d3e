"""What each part of an adopted bucket's configuration becomes: what is there, with Nearside's entries beside it.

Nothing here talks to AWS. What cannot be put beside what is there is refused: Refused says why and what to do.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy import adopting_policy
from deploy.adopting_policy import Readers
from deploy.adoption_sameness import same
from deploy.bucket_state import ENTRIES, Facts, Part, is_ours
from deploy.replication_merging import Destination, Refused, RuleChoices, replication

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics.html
EVENTS = ("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*", "s3:Replication:*")
_INCOMPLETE_DAYS = 7
_CANARIES = ".nearside/canary/"
_EXPOSED = ["ETag", "Location", "x-amz-version-id", "x-amz-replication-status", "x-amz-delete-marker"]
# https://docs.aws.amazon.com/general/latest/gr/s3.html
_MOST = {"cors": 100, "lifecycle": 1000, "notifications": 100, "replication": 1000}
_POLICY_BYTES = 20 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one bucket is to have. Without `role` its rules wait for it, without `queue` its notifications do: they are
    as they were found. `tls_only` and `lifecycle` are also as found where they are None. No `readers`: no edge."""

    bucket: str
    region: str
    role: str = ""
    queue: str = ""
    destinations: tuple[Destination, ...] = ()
    rules: RuleChoices = field(default_factory=RuleChoices)
    tls_only: bool | None = None
    readers: Readers | None = None
    cors_origins: tuple[str, ...] = ()
    awaits_page: bool = False
    lifecycle: bool | None = None
    old_versions_days: int = 0

    def waits(self) -> list[str]:
        """What cannot be done before the stacks are there."""
        lacks = {
            "replication": bool(self.destinations) and not self.role,
            "notifications": not self.queue,
            "the page's CORS": self.awaits_page,
            "the edge's policy": self.readers is not None and not self.readers.distribution,
        }
        return [name for name, lacking in lacks.items() if lacking]


def merged(part: str, found: Part, wanted: Wanted, facts: Facts) -> Part:
    """The part as it is to be. The same again when it is given its own answer. Raises Refused."""
    return _MERGES[part](found, wanted, facts)


def _versioning(found: Part, wanted: Wanted, facts: Facts) -> Part:
    if found != "Enabled" and facts.mfa_delete:
        raise Refused("versioning is off and MFA delete is on: only the root user with its device can turn it on")
    return "Enabled"


def _policy(found: Part, wanted: Wanted, facts: Facts) -> Part:
    ours = adopting_policy.statements(found, wanted.bucket, wanted.tls_only, wanted.readers)
    value = _with_entries("policy", found, {"Statement": ours}, {"Version": "2012-10-17"})
    if value is not None and len(json.dumps(value)) > _POLICY_BYTES:
        raise Refused("the bucket policy would be longer than 20 KB: make room in it, or leave out tls_only")
    if (gone := adopting_policy.gone(value)) and not same("policy", found, value):
        raise Refused(
            f"statement {', '.join(gone)} of its policy names a role or user that was deleted, and S3 takes no policy "
            "that does: take the name out first"
        )
    return value


def _cors(found: Part, wanted: Wanted, facts: Facts) -> Part:
    rule = {
        "ID": "nearside-cors",
        "AllowedOrigins": list(wanted.cors_origins),
        "AllowedMethods": ["GET", "HEAD", "PUT", "POST", "DELETE"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": _EXPOSED,
        "MaxAgeSeconds": 3000,
    }
    return _with_entries("cors", found, {"CORSRules": [rule] if wanted.cors_origins else []})


def _lifecycle(found: Part, wanted: Wanted, facts: Facts) -> Part:
    there = (found or {}).get("Rules", [])
    if not (any(is_ours(each, "ID") for each in there) if wanted.lifecycle is None else wanted.lifecycle):
        return _with_entries("lifecycle", found, {"Rules": []})
    rules: list[tuple[str, str, dict[str, Any]]] = [
        ("incomplete-uploads", "", {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _INCOMPLETE_DAYS}}),
        ("expired-delete-markers", "", {"Expiration": {"ExpiredObjectDeleteMarker": True}}),
        ("canaries", _CANARIES, {"Expiration": {"Days": 1}, "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}),
    ]
    if wanted.old_versions_days:
        end = {"NoncurrentVersionExpiration": {"NoncurrentDays": wanted.old_versions_days}}
        rules.append(("old-versions", "", end))
    # S3 takes rules of the first form (a prefix and no filter) or of the second, and refuses both together.
    old = any("Prefix" in each for each in there if not is_ours(each, "ID"))
    ours = [
        {
            "ID": f"nearside-{name}",
            "Status": "Enabled",
            **({"Prefix": of} if old else {"Filter": {"Prefix": of}}),
            **what,
        }
        for name, of, what in rules
    ]
    return _with_entries("lifecycle", found, {"Rules": ours})


def _notifications(found: Part, wanted: Wanted, facts: Facts) -> Part:
    """S3 refuses two notifications that share a type of event and a key
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html); ours are about all."""
    ours = {"Id": "nearside-events", "QueueArn": wanted.queue, "Events": list(EVENTS)}
    wants = True
    for key, name in ENTRIES["notifications"].items():
        for each in (found or {}).get(key, []):
            if is_ours(each, name):
                continue
            if each.get("QueueArn") == wanted.queue and not each.get("Filter") and set(each["Events"]) >= set(EVENTS):
                wants = False
            elif shared := sorted(event for event in each["Events"] if any(_overlap(event, mine) for mine in EVENTS)):
                raise Refused(
                    f"notification {each.get(name) or '(no id)'} already takes {', '.join(shared)}, and S3 gives "
                    "each event to one notification: let it hear by EventBridge, or give it a topic of both"
                )
    if not wanted.queue:
        return found
    return _with_entries("notifications", found, {"QueueConfigurations": [ours] if wants else []})


def _overlap(one: str, other: str) -> bool:
    """`s3:ObjectCreated:Put` and `s3:ObjectCreated:*` do."""
    families = [each.removesuffix(":*") for each in (one, other)]
    return (one == other) or any(
        whole.endswith(":*") and (family == each or each.startswith(family + ":"))
        for whole, family, each in ((one, families[0], families[1]), (other, families[1], families[0]))
    )


def _replication(found: Part, wanted: Wanted, facts: Facts) -> Part:
    if not wanted.destinations:
        return _with_entries("replication", found, {"Rules": []})
    role, rules = replication(found, wanted.role, wanted.destinations, wanted.rules, facts)
    if not wanted.role:
        return found
    value = _with_entries("replication", found, {"Rules": rules}, {"Role": role})
    return value if value is None else value | {"Role": role}


def _with_entries(
    part: str, found: Part, ours: Mapping[str, list[dict[str, Any]]], start: Mapping[str, Any] | None = None
) -> Part:
    """What is there with exactly these entries of ours: an entry keeps its place, a new one comes last."""
    value: dict[str, Any] = dict(found) if found is not None else dict(start or {})
    for key, name in ENTRIES[part].items():
        wanted = {entry[name]: entry for entry in ours.get(key, [])}
        before = value.get(key, [])
        kept = [wanted.pop(each[name], None) if is_ours(each, name) else each for each in before]
        entries = [each for each in kept if each is not None] + list(wanted.values())
        if entries:
            value[key] = entries
        elif before:
            del value[key]
        if len(entries) > _MOST.get(part, len(entries)):
            raise Refused(f"{part}: S3 takes {_MOST[part]} entries at most; make room")
    told = value.keys() & ENTRIES[part].keys() or value.keys() & {"EventBridgeConfiguration"}
    return value if told else None


_MERGES: Mapping[str, Callable[[Part, Wanted, Facts], Part]] = {
    "versioning": _versioning,
    "policy": _policy,
    "cors": _cors,
    "lifecycle": _lifecycle,
    "notifications": _notifications,
    "replication": _replication,
}
