"""Buckets as somebody may have them, in an account in memory: it checks what S3 checks, and answers in S3's words."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from deploy.adoption_sameness import same
from deploy.bucket_merging import Wanted
from deploy.bucket_state import PARTS, BatchJob, Calls, Elsewhere, Facts, Part, State
from deploy.replication_merging import Destination, RuleChoices
from local.object_store import ACCOUNT

BUCKETS = {"eu-west-2": "acme-eu", "us-east-2": "acme-us", "ap-southeast-2": "acme-ap"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ours"
OTHERS_ROLE = f"arn:aws:iam::{ACCOUNT}:role/theirs"


def in_s3s_words(part: str, value: Part) -> Part:
    """The same as S3 tells it."""
    if value is None:
        return None
    if part == "policy":
        return value | {"Statement": [_statement_told(each) for each in value["Statement"]]}
    if part == "replication":
        return value | {"Rules": [_rule_told(each) for each in value["Rules"]]}
    return value


def _statement_told(statement: dict[str, Any]) -> dict[str, Any]:
    told = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in statement.items()}
    told |= {key: sorted(value) for key, value in told.items() if isinstance(value, list)}
    if user := isinstance(told["Principal"], dict) and told["Principal"].get("CanonicalUser"):
        identity = f"arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E{user.upper()[:13]}"
        told["Principal"] = {"AWS": identity}
    return told


def _rule_told(rule: dict[str, Any]) -> dict[str, Any]:
    """What is off is left out, and a threshold is told that nobody gave."""
    target = dict(rule["Destination"])
    if "Metrics" in target:
        target["Metrics"] = {"EventThreshold": {"Minutes": 15}} | target["Metrics"]
    criteria = {
        name: value for name, value in rule.get("SourceSelectionCriteria", {}).items() if value["Status"] == "Enabled"
    }
    told = {key: value for key, value in rule.items() if key != "SourceSelectionCriteria"} | {"Destination": target}
    told["Filter"] = {} if rule.get("Filter") == {"Prefix": ""} else rule.get("Filter")
    return told | ({"SourceSelectionCriteria": criteria} if criteria else {})


class CountedCalls:
    """What both accounts have: changes are counted, and may be struck before; jobs are started once for each token."""

    def __init__(self) -> None:
        self.jobs: dict[BatchJob, str] = {}
        self.before: Callable[[], None] = lambda: None
        self.writes = 0

    def start_batch(self, bucket: str, region: str, job: BatchJob) -> str:
        assert job in self.jobs or job.token not in {each.token for each in self.jobs}, "S3: IdempotencyException"
        self.change(lambda: self.jobs.setdefault(job, f"job-{len(self.jobs)}"))
        return self.jobs[job]

    def change(self, change: Callable[[], object]) -> None:
        """Does it."""
        self.before()
        change()
        self.writes += 1


def check(calls: Calls, part: str, bucket: str, region: str, value: Part) -> None:
    """What S3 refuses."""
    if part == "versioning" and value != "Enabled":
        assert calls.read("replication", bucket, region) is None, "S3: InvalidBucketState"
    if part == "replication" and value is not None:
        priorities = [rule["Priority"] for rule in value["Rules"]]
        assert len(set(priorities)) == len(priorities), "S3: Found duplicate priority"
        for end, name in [(region, bucket), *BUCKETS.items()]:
            if name == bucket or name in {rule["Destination"]["Bucket"].rsplit(":", 1)[1] for rule in value["Rules"]}:
                assert calls.read("versioning", name, end) == "Enabled", f"S3: {name} is not versioned"


class MemoryCalls(CountedCalls):
    """An account in memory."""

    def __init__(self, states: list[State], *, object_lock: bool = False) -> None:
        super().__init__()
        self.buckets = {name: deepcopy(state) for name, state in zip(BUCKETS.values(), states, strict=False)}
        self._records: dict[str, bytes] = {}
        self._object_lock = object_lock

    def facts(self, bucket: str, region: str) -> Facts:
        if bucket not in self.buckets:
            raise Elsewhere(f"{bucket}: there is no such bucket")
        [where] = [where for where, name in BUCKETS.items() if name == bucket]
        return Facts(where, object_lock=self._object_lock)

    def read(self, part: str, bucket: str, region: str) -> Part:
        return in_s3s_words(part, deepcopy(self.buckets[bucket][part]))

    def write(self, part: str, bucket: str, region: str, value: Part) -> None:
        def write() -> None:
            check(self, part, bucket, region, value)
            self.buckets[bucket][part] = "Suspended" if part == "versioning" and value is None else deepcopy(value)

        self.change(write)

    def read_record(self, bucket: str, region: str, key: str) -> bytes | None:
        return self._records.get(key)

    def write_record(self, bucket: str, region: str, key: str, content: bytes) -> None:
        self.change(lambda: self._records.update({key: content}))

    def delete_record(self, bucket: str, region: str, key: str) -> None:
        self.change(lambda: self._records.pop(key))


@contextmanager
def account(states: list[State], *, object_lock: bool = False) -> Iterator[MemoryCalls]:
    """An account with the first buckets of BUCKETS, in these states."""
    yield MemoryCalls(states, object_lock=object_lock)


def states_of(calls: Calls, count: int) -> list[State]:
    """As they are now."""
    buckets = list(BUCKETS.items())[:count]
    return [{part: calls.read(part, bucket, region) for part in PARTS} for region, bucket in buckets]


def alike(ones: list[State], others: list[State]) -> list[tuple[int, str, Any, Any]]:
    """What differs."""
    return [
        (number, part, one[part], other[part])
        for number, (one, other) in enumerate(zip(ones, others, strict=True))
        for part in PARTS
        if not same(part, one[part], other[part])
    ]


def as_undone(before: list[State]) -> list[State]:
    """Versioning that was on once can be suspended and never taken away."""
    return [state | {"versioning": state["versioning"] or "Suspended"} for state in before]


def wanted(count: int, **choices: Any) -> list[Wanted]:
    """What the first buckets are to have."""
    buckets = list(BUCKETS.items())[:count]
    rules = choices.pop("rules", RuleChoices(keep_role=True))
    return [
        Wanted(
            bucket,
            region,
            ROLE,
            queue=f"arn:aws:sqs:{region}:{ACCOUNT}:events",
            destinations=tuple(Destination(other) for _, other in buckets if other != bucket),
            rules=rules,
            **choices,
        )
        for region, bucket in buckets
    ]


NOTHING: State = dict.fromkeys(PARTS)
# A bucket that somebody has used for years, in eu-west-2.
RICH: State = {
    "versioning": "Enabled",
    "policy": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "theirs",
                "Effect": "Allow",
                "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]},
                "Action": ["s3:PutObject", "s3:GetObject"],
                "Resource": ["arn:aws:s3:::acme-eu/*"],
            }
        ],
    },
    "cors": {"CORSRules": [{"ID": "theirs", "AllowedOrigins": ["https://acme.com"], "AllowedMethods": ["GET"]}]},
    "lifecycle": {
        "Rules": [{"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}]
    },
    "notifications": {
        "QueueConfigurations": [
            {
                "Id": "theirs",
                "QueueArn": f"arn:aws:sqs:eu-west-2:{ACCOUNT}:theirs",
                "Events": ["s3:ObjectTagging:*", "s3:ObjectRestore:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "images/"}]}},
            }
        ]
    },
    "replication": {
        "Role": OTHERS_ROLE,
        "Rules": [
            {
                "ID": "backup",
                "Priority": 7,
                "Status": "Enabled",
                "Filter": {"Prefix": ""},
                "DeleteMarkerReplication": {"Status": "Disabled"},
                "Destination": {"Bucket": "arn:aws:s3:::theirs-backup", "StorageClass": "STANDARD_IA"},
            }
        ],
    },
}
