"""What a CloudFront distribution says: its behaviours, their origins and their caches."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from local.template import Function

READS = ("GET", "HEAD")

# https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/custom-error-pages-expiration.html
ERROR_SECONDS = 10.0

type Kind = Literal["s3", "custom"]
type Access = Literal["none", "origin-access-identity", "origin-access-control"]


@dataclass(frozen=True, slots=True)
class Origin:
    """An origin as the distribution names it; `access` is by what CloudFront gets in there."""

    name: str
    domain_name: str
    kind: Kind
    access: Access = "none"
    path: str = ""
    custom_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long answers are kept when they do not say it themselves, and what tells two requests apart besides the path.

    The numbers of the managed policy CachingOptimized:
    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/using-managed-cache-policies.html
    """

    min_seconds: float = 1.0
    default_seconds: float = 86_400.0
    max_seconds: float = 31_536_000.0
    query: bool = False
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A cache behaviour. What of a viewer's request goes to the origin by policy: `headers` and `cookies` by name, and
    the whole `query` or none. `added` are the headers of its response headers policy: name, value, and whether it
    replaces the origin's. `triggers` has the function's name for each event."""

    pattern: str
    origin: Origin
    methods: tuple[str, ...] = READS
    cache: CachePolicy = field(default_factory=CachePolicy)
    headers: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    query: bool = False
    added: tuple[tuple[str, str, bool], ...] = ()
    triggers: Mapping[str, str] = field(default_factory=dict)

    def fits(self, path: str) -> bool:
        """Whether the path is this behaviour's. `*` is any text, also with slashes, `?` one character:
        https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/DownloadDistValuesCacheBehavior.html"""
        plain = re.escape(self.pattern.removeprefix("/")).replace(r"\*", ".*").replace(r"\?", ".")
        return re.fullmatch(plain, path.removeprefix("/"), re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Distribution:
    """The behaviours in the order in which they are tried, the default one, `*`, last. `error_seconds` is the error
    caching minimum TTL of a status, `functions` are those that triggers name."""

    behaviours: tuple[Behaviour, ...]
    error_seconds: Mapping[int, float] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    id: str = "EDFDVBD6EXAMPLE"
    domain_name: str = "d111111abcdef8.cloudfront.net"

    def behaviour(self, path: str) -> Behaviour:
        """The first behaviour that fits."""
        return next(each for each in self.behaviours if each.fits(path))

    def keeps_error_seconds(self, status: int) -> float:
        """How long an error of the origin is kept at least."""
        return self.error_seconds.get(status, ERROR_SECONDS)
