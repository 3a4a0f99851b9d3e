"""Cross-origin requests as S3 answers them: by the first rule of the bucket that fits.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from local.s3_errors import S3Error
from local.server import HeaderList, Request, Response

_VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@dataclass(frozen=True, slots=True)
class Rule:
    """One CORS rule of a bucket; a `*` in an origin or a header stands for anything."""

    origins: Sequence[str]
    methods: Sequence[str]
    headers: Sequence[str] = ()
    exposed: Sequence[str] = ()
    max_age_seconds: int | None = None

    def fits(self, origin: str, method: str, headers: Iterable[str] = ()) -> bool:
        """Whether the rule lets a page of `origin` send `method` with these headers."""
        return (
            any(fnmatchcase(origin, pattern) for pattern in self.origins)
            and method in self.methods
            and all(any(fnmatchcase(name, pattern.lower()) for pattern in self.headers) for name in headers)
        )


def preflight(request: Request, rules: Sequence[Rule]) -> Response:
    """The answer to an OPTIONS request, which browsers never sign. Raises S3Error when no rule fits."""
    origin = request.header("Origin")
    method = request.header("Access-Control-Request-Method")
    if not origin or not method:
        message = "Insufficient information. Origin request header needed."
        raise S3Error(400, "BadRequest", message)
    asked = request.header("Access-Control-Request-Headers")
    headers = [name.strip().lower() for name in asked.split(",") if name.strip()]
    rule = next((rule for rule in rules if rule.fits(origin, method, headers)), None)
    if rule is None:
        message = "CORSResponse: This CORS request is not allowed. This is usually because the evaluation of Origin, "
        message += (
            "request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted "
        )
        message += "by the resource's CORS spec."
        raise S3Error(403, "AccessForbidden", message, {"Method": method, "ResourceType": "OBJECT"})
    answer = [*_allowed(rule, origin)]
    if headers:
        answer.append(("Access-Control-Allow-Headers", ", ".join(headers)))
    if rule.max_age_seconds is not None:
        answer.append(("Access-Control-Max-Age", str(rule.max_age_seconds)))
    return Response(200, tuple(answer))


def allowing(request: Request, rules: Sequence[Rule]) -> HeaderList:
    """The headers that let a page read the answer; none when it is no cross-origin request or no rule fits."""
    origin = request.header("Origin")
    rule = next((rule for rule in rules if origin and rule.fits(origin, request.method)), None)
    return () if rule is None else _allowed(rule, origin)


def _allowed(rule: Rule, origin: str) -> HeaderList:
    anyone = "*" in rule.origins
    headers = [
        ("Access-Control-Allow-Origin", "*" if anyone else origin),
        ("Access-Control-Allow-Methods", ", ".join(rule.methods)),
        ("Vary", _VARY),
    ]
    if rule.exposed:
        headers.append(("Access-Control-Expose-Headers", ", ".join(rule.exposed)))
    if not anyone:
        headers.append(("Access-Control-Allow-Credentials", "true"))
    return tuple(headers)
