"""The resources of all stacks: in moto where it knows their type, else only written down; a name is had once."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local import rehearsal_moto as moto
from local.rehearsal_refusals import Refused, check, check_deletion, replicas
from local.rehearsal_schemas import identifying, replacing
from local.rehearsal_values import identifier

# The account's, not a region's.
_GLOBAL = ("AWS::CloudFront::", "AWS::IAM::", "AWS::Route53::")
# What is named by another property than it is identified by.
_NAMED = {
    "AWS::CloudFront::CachePolicy": ("CachePolicyConfig", "Name"),
    "AWS::CloudFront::OriginAccessControl": ("OriginAccessControlConfig", "Name"),
    "AWS::CloudFront::OriginRequestPolicy": ("OriginRequestPolicyConfig", "Name"),
    "AWS::CloudFront::ResponseHeadersPolicy": ("ResponseHeadersPolicyConfig", "Name"),
}
# Whose names moto is asked for.
_ASKED = (moto.BUCKET, moto.TABLE, moto.ACCESS_POINT, moto.SECRET)


@dataclass
class Resource:
    """What became of one resource of a template. `values` has its Ref as "" and its attributes."""

    kind: str
    region: str
    properties: Mapping[str, Any]
    owner: str
    values: dict[str, str]
    kept: str = "Delete"
    kept_when_replaced: str = "Delete"


@dataclass
class Resources:
    """All of an account."""

    _taken: dict[tuple[str, ...], str] = field(default_factory=dict)
    _counter: Iterable[int] = field(default_factory=itertools.count)
    _points: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def make(
        self, stack: str, name: str, kind: str, properties: Mapping[str, Any], asked: Iterable[str], region: str
    ) -> Resource:
        """Raises Refused."""
        check(kind, properties, None, region)
        taken = _name(kind, properties, region)
        if taken in self._taken:
            raise Refused(f"{taken[-1]} already exists in stack {self._taken[taken]}")
        owner = f"{stack}-{name}-{next(iter(self._counter))}"
        called = properties["Name"] if kind == moto.ACCESS_POINT else name  # another one has another alias
        values = {each: identifier(kind, stack, called, each, region) for each in ("", "Alias", *asked)}
        values |= _made(owner, name, kind, properties, asked, region, values)
        if taken:
            self._taken[taken] = stack
        if kind == moto.ACCESS_POINT:
            self._points[properties["Name"]] = properties
        return Resource(kind, region, properties, owner, values)

    def is_replaced(self, resource: Resource, properties: Mapping[str, Any]) -> bool:
        """Whether the change makes another resource of it."""
        return any(
            resource.properties.get(each) != properties.get(each) for each in replacing(resource.kind, resource.region)
        )

    def change(self, name: str, resource: Resource, properties: Mapping[str, Any]) -> Resource:
        """Raises Refused. Without a replacement."""
        check(resource.kind, properties, resource.properties, resource.region)
        _changed(name, resource, properties)
        return Resource(resource.kind, resource.region, properties, resource.owner, resource.values)

    def revert(self, name: str, former: Resource, changed: Resource) -> None:
        """A change taken back; nothing that was so before is refused."""
        _changed(name, changed, former.properties)

    def drop(self, resource: Resource, *, keep: bool) -> None:
        """Deletes it, or leaves it to nobody. Raises Refused."""
        region = resource.region
        if keep:
            moto.forget(resource.owner, region)
            return
        points = [each for name, each in self._points.items() if name in moto.access_points()]
        check_deletion(resource.kind, resource.properties, resource.values[""], points)
        self._taken.pop(_name(resource.kind, resource.properties, region), None)
        match resource.kind:
            case moto.ACCESS_POINT:
                moto.drop_access_point(resource.properties["Name"])
            case moto.DISTRIBUTION:
                moto.drop_distribution(resource.values[""])
            case moto.SECRET:
                moto.drop_secret(resource.values[""], region)
            case moto.TABLE:
                for each in replicas(resource.properties):
                    moto.drop(resource.owner, each)
            case _:
                moto.drop(resource.owner, region)


def _name(kind: str, properties: Mapping[str, Any], region: str) -> tuple[str, ...]:
    """What nobody else may have; empty where CloudFormation finds a name itself."""
    if kind in _ASKED:
        return ()
    path = _NAMED.get(kind) or tuple(identifying(kind, region))[:1]
    value: Any = properties
    for each in path:
        value = value.get(each) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or len(identifying(kind, region)) > 1:
        return ()
    return kind, "" if kind.startswith(_GLOBAL) else region, value


def _made(
    owner: str,
    name: str,
    kind: str,
    properties: Mapping[str, Any],
    asked: Iterable[str],
    region: str,
    values: Mapping[str, str],
) -> Mapping[str, str]:
    if kind == moto.ACCESS_POINT:
        moto.make_access_point(properties, values["Alias"])
        return {"": properties["Name"]}
    if kind == moto.TABLE:
        for each in sorted(replicas(properties)):
            moto.make(owner, name, "AWS::DynamoDB::Table", _regional(properties), (), each)
        return {"": properties["TableName"]}
    if kind == moto.DISTRIBUTION:
        moto.make_distribution(values[""])
        return {}
    if kind == moto.SECRET:
        return {"": moto.make_secret(properties.get("Name", owner), region)}
    if not moto.knows(kind):
        return {}
    if kind == moto.BUCKET:
        # SAM names a layer by a hash of where its code is: so a name that nobody has chosen is always the same.
        properties = {"BucketName": values[""], **properties}
    try:
        found = moto.make(owner, name, kind, properties, asked, region)
    except moto.Unable:
        return {}
    if kind == moto.BUCKET:
        moto.set_versioning(found[""], (properties.get("VersioningConfiguration") or {}).get("Status", ""))
    return found


def _regional(properties: Mapping[str, Any]) -> dict[str, Any]:
    wanted = ("TableName", "KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes")
    return {each: properties[each] for each in wanted if each in properties}


def _changed(name: str, resource: Resource, properties: Mapping[str, Any]) -> None:
    if resource.kind == moto.TABLE:
        was, wanted = replicas(resource.properties), replicas(properties)
        for each in wanted - was:
            moto.make(resource.owner, name, "AWS::DynamoDB::Table", _regional(properties), (), each)
        for each in was - wanted:
            moto.drop(resource.owner, each)
    elif resource.kind == moto.BUCKET:
        moto.set_versioning(resource.values[""], (properties.get("VersioningConfiguration") or {}).get("Status", ""))
