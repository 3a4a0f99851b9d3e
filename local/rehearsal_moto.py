"""One resource at a time in moto: the types that its CloudFormation knows, and five that it has other ways for."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.backends import get_backend
from moto.cloudformation.parsing import get_model_map

ACCOUNT = "123456789012"
BUCKET = "AWS::S3::Bucket"
SECRET = "AWS::SecretsManager::Secret"
TABLE = "AWS::DynamoDB::GlobalTable"
ACCESS_POINT = "AWS::S3::MultiRegionAccessPoint"
DISTRIBUTION = "AWS::CloudFront::Distribution"


@dataclass
class _Deployed:
    """What moto asks of a distribution that is told to look again."""

    distribution_id: str
    etag: str = "rehearsed"

    @property
    def location(self) -> str:
        """Where it is."""
        return f"https://cloudfront.amazonaws.com/2020-05-31/distribution/{self.distribution_id}"

    def advance(self) -> None:
        """It is deployed already."""


class Unable(Exception):
    """Moto could not; the words say why."""


def knows(kind: str) -> bool:
    """Whether moto's CloudFormation makes this type."""
    return kind in get_model_map()


def make(
    owner: str, name: str, kind: str, properties: Mapping[str, Any], asked: Iterable[str], region: str
) -> Mapping[str, str]:
    """Makes it, in a stack of moto's own called `owner`: its Ref as "", and what it has of the attributes asked for."""
    body = json.dumps({"Resources": {name: {"Type": kind, "Properties": properties}}}, default=str)
    backend = get_backend("cloudformation")[ACCOUNT][region]
    try:
        made: Any = backend.create_stack(owner, body, {}).resource_map[name]
    except Exception as error:  # moto's own, for what it does not know of a resource
        for stack_id in [each.stack_id for each in backend.stacks.values() if each.name == owner]:
            del backend.stacks[stack_id]
        raise Unable(f"the emulator: {error!r}") from error
    found = {}
    for attribute in ("", *asked):
        try:
            value = made.get_cfn_attribute(attribute) if attribute else made.physical_resource_id
        except Exception:  # noqa: BLE001 - moto knows few attributes; whoever asks has another value
            continue
        if isinstance(value, str):
            found[attribute] = value
    return found


def drop(owner: str, region: str) -> None:
    """Deletes it. What moto cannot delete it forgets."""
    backend = get_backend("cloudformation")[ACCOUNT][region]
    for stack in [each for each in backend.stacks.values() if each.name == owner]:
        try:
            backend.delete_stack(stack.stack_id)
        except Exception:  # noqa: BLE001 - moto's own, for types that it cannot delete
            backend.stacks.pop(stack.stack_id, None)


def forget(owner: str, region: str) -> None:
    """It stays, and belongs to no stack any more."""
    backend = get_backend("cloudformation")[ACCOUNT][region]
    for stack_id in [each.stack_id for each in backend.stacks.values() if each.name == owner]:
        del backend.stacks[stack_id]


def bucket_versioning(bucket: str) -> str | None:
    """`Enabled` or another state, empty for none; None when there is no such bucket."""
    found = get_backend("s3")[ACCOUNT]["aws"].buckets.get(bucket)
    return None if found is None else found.versioning_status or ""


def set_versioning(bucket: str, status: str) -> None:
    """What moto's CloudFormation leaves out of a bucket."""
    get_backend("s3")[ACCOUNT]["aws"].put_bucket_versioning(bucket, status)


def is_empty(bucket: str) -> bool:
    """Whether it has no version of anything."""
    return not get_backend("s3")[ACCOUNT]["aws"].buckets[bucket].keys


def object_bytes(bucket: str, key: str) -> bytes | None:
    """An object's bytes, such as an artefact's that SAM has uploaded."""
    found = get_backend("s3")[ACCOUNT]["aws"].buckets.get(bucket)
    held = found.keys.get(key) if found else None
    return bytes(held.value) if held else None


def queue_exists(arn: str) -> bool:
    """Whether the queue is there, in the region that its ARN says."""
    *_, region, _account, name = arn.split(":")
    return name in get_backend("sqs")[ACCOUNT][region].queues


def table_exists(table: str, region: str) -> bool:
    """Whether the table, or a replica of it, is in the region."""
    return table in get_backend("dynamodb")[ACCOUNT][region].tables


def make_access_point(properties: Mapping[str, Any], alias: str) -> None:
    """With an alias in S3's form; moto's own has another."""
    points = get_backend("s3control")[ACCOUNT]["aws"]
    block = properties.get("PublicAccessBlockConfiguration") or {}
    points.create_multi_region_access_point(ACCOUNT, properties["Name"], block, properties["Regions"], "us-west-2")
    points.get_multi_region_access_point(ACCOUNT, properties["Name"]).alias = alias


def access_points() -> Mapping[str, Any]:
    """By name."""
    found: Mapping[str, Any] = get_backend("s3control")[ACCOUNT]["aws"].multi_region_access_points[ACCOUNT]
    return found


def drop_access_point(name: str) -> None:
    """Deletes it."""
    get_backend("s3control")[ACCOUNT]["aws"].delete_multi_region_access_point(ACCOUNT, name, "us-west-2")


def secret_exists(name: str, region: str) -> bool:
    """Whether the secret is in the region."""
    return name in get_backend("secretsmanager")[ACCOUNT][region].secrets


def make_secret(name: str, region: str) -> str:
    """Its ARN. The name must be given."""
    backend = get_backend("secretsmanager")[ACCOUNT][region]
    told = backend.create_secret(name, "rehearsed", None, None, None, None, None, [], force_overwrite=False)
    return str(json.loads(told)["ARN"])


def drop_secret(name: str, region: str) -> None:
    """Deletes it at once, as CloudFormation does."""
    get_backend("secretsmanager")[ACCOUNT][region].delete_secret(
        name, recovery_window_in_days=None, force_delete_without_recovery=True
    )


def make_distribution(distribution: str) -> None:
    """As far as there is one that can be told to look again."""
    there: dict[str, Any] = get_backend("cloudfront")[ACCOUNT]["aws"].distributions
    there[distribution] = _Deployed(distribution)


def looked_again(distribution: str) -> list[str]:
    """The paths that it was told of."""
    told = get_backend("cloudfront")[ACCOUNT]["aws"].invalidations.get(distribution, [])
    return [path for each in told for path in each.paths]


def drop_distribution(distribution: str) -> None:
    """Deletes it."""
    get_backend("cloudfront")[ACCOUNT]["aws"].distributions.pop(distribution, None)


def inventory() -> dict[str, dict[str, str]]:
    """What is really there, whichever stack has made it: buckets, tables, access points, functions and queues."""
    found: dict[str, dict[str, str]] = {}
    buckets = get_backend("s3")[ACCOUNT]["aws"].buckets
    found["buckets"] = {name: each.versioning_status or "" for name, each in buckets.items()}
    found["access points"] = {name: each.alias for name, each in access_points().items()}
    for service, kind in (("dynamodb", "tables"), ("sqs", "queues"), ("secretsmanager", "secrets")):
        found[kind] = {
            f"{name} {region}": ""
            for region, backend in get_backend(service)[ACCOUNT].items()  # type: ignore[call-overload]  # literals only
            for name in getattr(backend, kind)
        }
    return found
