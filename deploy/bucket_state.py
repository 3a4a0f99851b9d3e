"""What an existing bucket is like: its configuration in parts, and which entries of it are Nearside's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

# In the order in which they are changed; undone in the opposite one. A rule needs versioned buckets at both its ends.
PARTS = ("versioning", "policy", "cors", "lifecycle", "notifications", "replication")

# Where each part keeps its entries, and what an entry's name is called there.
ENTRIES: Mapping[str, Mapping[str, str]] = {
    "policy": {"Statement": "Sid"},
    "cors": {"CORSRules": "ID"},
    "lifecycle": {"Rules": "ID"},
    "notifications": {
        "TopicConfigurations": "Id",
        "QueueConfigurations": "Id",
        "LambdaFunctionConfigurations": "Id",
    },
    "replication": {"Rules": "ID"},
}
# A statement's name takes letters and digits only.
OURS = ("nearside-", "Nearside")

# None where the bucket has no such configuration; otherwise as the SDK gives and takes it. Versioning is its status.
type Part = Any
type State = dict[str, Part]


@dataclass(frozen=True, slots=True)
class Facts:
    """What of a bucket is never changed here, but decides whether it can be adopted."""

    region: str
    requester_pays: bool = False
    object_lock: bool = False
    mfa_delete: bool = False
    kms: bool = False


class CallFailed(Exception):
    """AWS refused a call, or could not be reached. The message names the bucket and the part, and says why."""


class Elsewhere(CallFailed):
    """The bucket is not there, is another account's, or refuses us; the message says which."""


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A Batch Replication job: who runs it, what asks for it only once, and the replication statuses of its objects."""

    role: str
    token: str
    statuses: tuple[str, ...]


class Calls(Protocol):
    """What adopting asks of AWS. Every call may raise CallFailed."""

    def facts(self, bucket: str, region: str) -> Facts:
        """Raises Elsewhere."""

    def read(self, part: str, bucket: str, region: str) -> Part: ...

    def write(self, part: str, bucket: str, region: str, value: Part) -> None:
        """None takes the configuration away; versioning, which cannot be taken away, is then suspended."""

    def read_record(self, bucket: str, region: str, key: str) -> bytes | None: ...

    def write_record(self, bucket: str, region: str, key: str, content: bytes) -> None: ...

    def delete_record(self, bucket: str, region: str, key: str) -> None:
        """Every version of it."""

    def start_batch(self, bucket: str, region: str, job: BatchJob) -> str:
        """The id of the job; the same token gives the same job."""


def is_ours(entry: Mapping[str, Any], name: str) -> bool:
    """Whether the entry carries a name of ours."""
    return str(entry.get(name) or "").startswith(OURS)


def without_ours(part: str, value: Part) -> Part:
    """The part as it would be had nobody adopted the bucket; None where nothing remains."""
    if value is None or part not in ENTRIES:
        return value
    lists = ENTRIES[part]
    left = {
        key: [each for each in found if not is_ours(each, lists[key])] if key in lists else found
        for key, found in value.items()
    }
    kept = {key: found for key, found in left.items() if key not in lists or found or found == value[key]}
    told = kept.keys() & lists.keys() or kept.keys() & {"EventBridgeConfiguration"}
    return kept if told else None
