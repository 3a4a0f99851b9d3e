"""A distribution read from a CloudFormation template: stacks/edge.yaml, with the world's parameters."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from local.distribution import Access, Behaviour, CachePolicy, Distribution, Kind, Origin
from local.intrinsics import Resolver, TemplateError, load_yaml
from local.template import Function

_CORS_HEADERS = ("origin", "access-control-request-headers", "access-control-request-method")
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-origin-request-policies.html
_MANAGED_CACHE = {
    "658327ea-f89d-4fab-a63d-7e88639e58f6": CachePolicy(),  # CachingOptimized
    "4135ea2d-6df8-44a3-9df3-4b5a84be39ad": CachePolicy(0.0, 0.0, 0.0),  # CachingDisabled
}
_MANAGED_HEADERS = {"88a5eaf4-2fd4-4709-b370-b4c650ea3fcf": _CORS_HEADERS}  # CORS-S3Origin

_DEFAULT_TIMEOUT_SECONDS = 3  # Lambda's


def read_distribution(path: Path, parameters: Mapping[str, str]) -> Distribution:
    """The distribution of the template at `path` with these parameters over its defaults. Raises TemplateError
    and OSError."""
    document = load_yaml(path.read_text())
    return _Reader(path.parent, document, Resolver(document, parameters, "us-east-1")).distribution()


class _Reader:
    def __init__(self, folder: Path, document: Mapping[str, Any], resolver: Resolver) -> None:
        self._folder = folder
        self._resources: Mapping[str, Any] = document.get("Resources") or {}
        self._resolver = resolver

    def distribution(self) -> Distribution:
        kind = "AWS::CloudFront::Distribution"
        named = [name for name, resource in self._resources.items() if resource["Type"] == kind]
        if len(named) != 1:
            raise TemplateError(f"the template has {len(named)} distributions")
        config = self._properties(named[0])["DistributionConfig"]
        origins = {each["Id"]: _origin(each) for each in config["Origins"]}
        patterns = [*config.get("CacheBehaviors", ()), {**config["DefaultCacheBehavior"], "PathPattern": "*"}]
        behaviours = tuple(self._behaviour(each, origins) for each in patterns)
        names = {function for behaviour in behaviours for function in behaviour.triggers.values()}
        return Distribution(
            behaviours=behaviours,
            error_seconds={
                int(each["ErrorCode"]): float(each["ErrorCachingMinTTL"])
                for each in config.get("CustomErrorResponses", ())
                if "ErrorCachingMinTTL" in each
            },
            functions={name: self._function(name) for name in sorted(names)},
        )

    def _properties(self, name: str) -> Mapping[str, Any]:
        if name not in self._resources:
            raise TemplateError(f"no such resource: {name}")
        resolved: Mapping[str, Any] = self._resolver.resolve(self._resources[name].get("Properties") or {})
        return resolved

    def _behaviour(self, read: Mapping[str, Any], origins: Mapping[str, Origin]) -> Behaviour:
        if read.get("FunctionAssociations"):
            raise TemplateError(f"{read['PathPattern']}: the local world runs no CloudFront Functions")
        headers, cookies, query = self._forwarded(read.get("OriginRequestPolicyId", ""))
        cache = self._cache(read["CachePolicyId"])
        return Behaviour(
            pattern=str(read["PathPattern"]),
            origin=origins[read["TargetOriginId"]],
            methods=tuple(read.get("AllowedMethods", ("GET", "HEAD"))),
            cache=cache,
            headers=(*headers, *cache.headers),
            cookies=cookies,
            query=query or cache.query,
            added=tuple(self._added(read.get("ResponseHeadersPolicyId", ""))),
            triggers={
                each["EventType"]: str(each["LambdaFunctionARN"]).partition(".")[0]
                for each in read.get("LambdaFunctionAssociations", ())
            },
        )

    def _cache(self, policy: str) -> CachePolicy:
        if policy in _MANAGED_CACHE:
            return _MANAGED_CACHE[policy]
        config = self._properties(policy)["CachePolicyConfig"]
        parameters = config["ParametersInCacheKeyAndForwardedToOrigin"]
        return CachePolicy(
            min_seconds=float(config["MinTTL"]),
            default_seconds=float(config["DefaultTTL"]),
            max_seconds=float(config["MaxTTL"]),
            query=_all_or_none(parameters["QueryStringsConfig"]["QueryStringBehavior"]),
            headers=tuple(map(str.lower, parameters["HeadersConfig"].get("Headers", ()))),
        )

    def _forwarded(self, policy: str) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """The headers, the cookies, and whether the query goes to the origin."""
        if not policy or policy in _MANAGED_HEADERS:
            return _MANAGED_HEADERS.get(policy, ()), (), False
        config = self._properties(policy)["OriginRequestPolicyConfig"]
        headers = tuple(map(str.lower, config["HeadersConfig"].get("Headers", ())))
        query = _all_or_none(config["QueryStringsConfig"]["QueryStringBehavior"])
        return headers, tuple(config["CookiesConfig"].get("Cookies", ())), query

    def _added(self, policy: str) -> Iterator[tuple[str, str, bool]]:
        if not policy:
            return
        security = self._properties(policy)["ResponseHeadersPolicyConfig"].get("SecurityHeadersConfig") or {}
        for kind, name, value in (
            ("StrictTransportSecurity", "Strict-Transport-Security", "max-age={AccessControlMaxAgeSec}"),
            ("ContentTypeOptions", "X-Content-Type-Options", "nosniff"),
            ("FrameOptions", "X-Frame-Options", "{FrameOption}"),
            ("ReferrerPolicy", "Referrer-Policy", "{ReferrerPolicy}"),
            ("ContentSecurityPolicy", "Content-Security-Policy", "{ContentSecurityPolicy}"),
        ):
            if kind in security:
                yield name, value.format_map(security[kind]), bool(security[kind]["Override"])

    def _function(self, name: str) -> Function:
        read = self._properties(name)
        forbidden = {"Environment", "Layers"} & read.keys()
        if forbidden:
            raise TemplateError(f"{name} has {', '.join(sorted(forbidden))}, which Lambda@Edge has not")
        return Function(
            name=name,
            code=self._folder / read["CodeUri"],
            handler=read["Handler"],
            environment={},
            timeout_seconds=int(read.get("Timeout", _DEFAULT_TIMEOUT_SECONDS)),
            memory_mb=int(read.get("MemorySize", 128)),
        )


def _origin(read: Mapping[str, Any]) -> Origin:
    kind: Kind = "custom" if "CustomOriginConfig" in read else "s3"
    access: Access = "none"
    if read.get("OriginAccessControlId"):
        access = "origin-access-control"
    elif (read.get("S3OriginConfig") or {}).get("OriginAccessIdentity"):
        access = "origin-access-identity"
    headers = {each["HeaderName"]: str(each["HeaderValue"]) for each in read.get("OriginCustomHeaders", ())}
    return Origin(read["Id"], str(read["DomainName"]), kind, access, str(read.get("OriginPath", "")), headers)


def _all_or_none(behaviour: str) -> bool:
    if behaviour not in ("all", "none"):
        raise TemplateError(f"the local world forwards all of a query string or nothing, not {behaviour!r}")
    return behaviour == "all"
