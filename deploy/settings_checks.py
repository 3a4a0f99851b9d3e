"""What the fields of nearside.toml must be like; an error names the field, its value and what is expected."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from deploy import DeployFailed
from deploy.settings_tables import Settings
from nearside.access import Rule

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; without dots, which break TLS and MRAPs.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
_NAME = re.compile(r"[a-z][a-z0-9-]{1,29}")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key/[A-Za-z0-9-]+")
_CERTIFICATE = re.compile(r"arn:aws[a-z-]*:acm:([a-z0-9-]+):\d{12}:certificate/[A-Za-z0-9-]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_URL = re.compile(r"https://[^\s?#]+")
_ORIGIN = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+(:\d{1,5})?(?=/|$)")
_WEB_ACL = re.compile(r"arn:aws:wafv2:us-east-1:\d{12}:global/webacl/.+")
MAX_REGIONS = 8
# Of the 4 KB of a function's variables and the 10,240 bytes of a role's policies (tests/contract/test_refusals.py).
MAX_VARIABLES_BYTES = 2_400
MAX_POLICY_BYTES = 7_000
# Of the 1,783 characters of a Content-Security-Policy, what eight buckets' addresses leave (tests/deploy/test_page.py).
MAX_ORIGINS_BYTES = 300
# What the templates' parameters take (a test compares them): field, least, most.
BOUNDS = (
    ("replication.lag_target_seconds", 1, 999_999),
    ("replication.repair_job_over", 1, 999_999),
    ("buckets.object_lock_days", 0, 36_500),
    ("buckets.old_versions_days", 0, 36_500),
    ("api.listing_max_age", 0, 86_400),
    ("api.throttle_rate", 1, 10_000),
    ("api.throttle_burst", 1, 5_000),
    ("alarms.api_latency_milliseconds", 100, 30_000),
    ("alarms.catalog_latency_milliseconds", 1_000, 86_400_000),
    ("functions.replica_events_concurrency", 2, 1_000),
    ("gateway.replicator_concurrency", 2, 1_000),
)
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365),
    *(400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class BadDeploySettings(DeployFailed):
    """A field of the settings is wrong."""


def check(settings: Settings) -> None:
    """Raises BadDeploySettings."""
    _check_bounds(settings)
    _check_regions(settings)
    _check_buckets(settings)
    _check_api(settings)
    _check_rest(settings)
    _check_page(settings)
    _check_lists(settings)
    _check_sizes(settings)


def _want(field: str, value: object, fits: object, expected: str) -> None:
    if not fits:
        raise BadDeploySettings(f"{field} is {value!r}; expected {expected}")


def _once(field: str, values: Sequence[str]) -> None:
    for value in values:
        _want(field, value, values.count(value) == 1, "each only once")


def _check_bounds(settings: Settings) -> None:
    for name, least, most in BOUNDS:
        table, _, field = name.partition(".")
        if (found := getattr(settings, table)) is not None:
            value = getattr(found, field)
            _want(name, value, least <= value <= most, f"{least} to {most}")


def _check_regions(settings: Settings) -> None:
    _want("name", settings.name, _NAME.fullmatch(settings.name), "2 to 30 lower-case letters, digits and hyphens")
    _want("regions", settings.regions, 0 < len(settings.regions) <= MAX_REGIONS, f"1 to {MAX_REGIONS} of them")
    for index, each in enumerate(settings.regions):
        field = f"regions[{index}]"
        _want(f"{field}.region", each.region, _REGION.fullmatch(each.region), "a region such as eu-west-2")
        _want(f"{field}.bucket", each.bucket, _BUCKET.fullmatch(each.bucket),
              "a bucket's name: 3 to 63 lower-case letters, digits and hyphens, no dots")  # fmt: skip
    _once("regions.region", [each.region for each in settings.regions])
    _once("regions.bucket", [each.bucket for each in settings.regions])


def _check_buckets(settings: Settings) -> None:
    buckets = settings.buckets
    _per_region(settings, "buckets.kms_key", buckets.kms_key, _KEY, "the ARN of a KMS key of that region")
    prefixes = settings.replication.prefixes
    _want("replication.prefixes", prefixes, prefixes, 'a list of prefixes; [""] is the whole bucket')
    _want("replication.prefixes", prefixes, prefixes == [""] or (len(prefixes) <= 4 and ".nearside/" in prefixes),
          '[""], or up to 4 with ".nearside/" among them')  # fmt: skip
    _want("replication.prefixes", prefixes,
          not any(one != other and other.startswith(one) for one in prefixes for other in prefixes),
          "none that begins with another")  # fmt: skip
    _once("replication.prefixes", prefixes)
    _want("replication.metrics", False, settings.replication.metrics or not settings.replication.rtc,
          "true with rtc, which has them")  # fmt: skip
    _want("buckets.probe_addresses", buckets.probe_addresses, settings.edge.enabled or not buckets.probe_addresses,
          "none without edge.enabled")  # fmt: skip


def _check_api(settings: Settings) -> None:
    api = settings.api
    if api.auth == "jwt":
        _want("api.issuer", api.issuer, _URL.fullmatch(api.issuer), "the tokens' issuer, https://…, for auth = jwt")
        _want("api.audience", api.audience, api.audience, "at least one audience for auth = jwt")
    _want("api.origins", api.origins, api.origins, "at least one origin; your own site's when no other page may call")
    try:
        msgspec.json.decode(api.policy, type=list[Rule])
    except msgspec.DecodeError as error:
        raise BadDeploySettings(
            f"api.policy is {api.policy!r}; expected a JSON list of {{claim, equals?, prefixes, actions}}: {error}"
        ) from None
    _want("api.domain", api.domain, not api.domain or _DOMAIN.fullmatch(api.domain), "a domain such as api.example.com")
    _want("api.certificate", api.certificate, bool(api.domain) == bool(api.certificate), "given together with domain")
    _per_region(
        settings, "api.certificate", api.certificate, _CERTIFICATE, "the ARN of an ACM certificate of that region"
    )
    _want("api.zone", api.zone, bool(api.domain) or not api.zone, "empty without domain")


def _check_rest(settings: Settings) -> None:
    email, edge = settings.alarms.email, settings.edge
    _want("alarms.email", email, not email or _EMAIL.fullmatch(email), "an address, or empty")
    _per_region(settings, "alarms.topic_key", settings.alarms.topic_key, _KEY, "the ARN of a KMS key of that region")
    _per_region(settings, "security.kms_key", settings.security.kms_key, _KEY, "the ARN of a KMS key of that region")
    days = settings.functions.log_retention_days
    _want("functions.log_retention_days", days, days in RETENTION_DAYS, f"one of {_listed(map(str, RETENTION_DAYS))}")
    _want("edge.enabled", edge.enabled, not edge.enabled or settings.mrap.enabled, "mrap.enabled with it")
    reads_by_identity = edge.origin_switch in (None, "edge-lambda") and edge.origin_auth in (None, "oai")
    _want(
        "edge.origin_auth",
        edge.origin_auth or "oai",
        not (edge.enabled and settings.buckets.kms_key and reads_by_identity),
        "sigv4 with buckets.kms_key, since an access identity knows no keys; or origin_switch = key-value-store",
    )
    _want(
        "edge.txt_name",
        edge.txt_name,
        not edge.enabled or edge.txt_name,
        "the DNS name whose TXT record names the origin",
    )


def _check_page(settings: Settings) -> None:
    page, api = settings.page, settings.api
    if page.enabled:
        _want(
            "api.auth", api.auth, api.auth == "jwt", "jwt with page.enabled: who comes signs in, and signs no requests"
        )
        _want("api.issuer", api.issuer, _ORIGIN.match(api.issuer + "/"), "an address of letters, digits and hyphens")
        _want("page.client_id", page.client_id, page.client_id, "the page's name at the issuer: a public client")
        _want("api.origins", api.origins, "*" in api.origins or page.domain,
              '["*"] with page.enabled and no page.domain: its address is known only when it is there')  # fmt: skip
    for each in page.origins:
        _want("page.origins", each, _ORIGIN.fullmatch(each), "an origin such as https://login.example.com")
    size = len(" ".join(page.origins))
    _want("page.origins", f"{size} bytes", size <= MAX_ORIGINS_BYTES, f"{MAX_ORIGINS_BYTES} bytes at most")
    _want(
        "page.domain", page.domain, not page.domain or _DOMAIN.fullmatch(page.domain), "a domain such as a.example.com"
    )
    _want(
        "page.certificate", page.certificate, bool(page.domain) == bool(page.certificate), "given together with domain"
    )
    match = _CERTIFICATE.fullmatch(page.certificate)
    _want("page.certificate", page.certificate, not page.certificate or (match and match[1] == "us-east-1"),
          "the ARN of an ACM certificate of us-east-1, for CloudFront")  # fmt: skip
    _want("page.zone", page.zone, bool(page.domain) or not page.zone, "empty without domain")
    _want("page.web_acl", page.web_acl, not page.web_acl or _WEB_ACL.fullmatch(page.web_acl),
          "the ARN of a web ACL of scope CLOUDFRONT")  # fmt: skip


def _check_lists(settings: Settings) -> None:
    """CloudFormation parts a list at its commas and takes the spaces around its items away."""
    gateway = settings.gateway
    lists = {
        "replication.prefixes": [each for each in settings.replication.prefixes if each],
        "buckets.cors_origins": settings.buckets.cors_origins,
        "api.origins": settings.api.origins,
        "api.audience": settings.api.audience,
        "edge.domain_names": settings.edge.domain_names or [],
        "gateway.domains": gateway.domains if gateway else [],
        "gateway.bucket_arns": gateway.bucket_arns if gateway else [],
        "gateway.secret_arns": gateway.secret_arns if gateway else [],
    }
    for field, values in lists.items():
        for each in values:
            _want(
                field,
                each,
                each and "," not in each and each == each.strip(),
                "no comma, no spaces around it, not empty",
            )


def _check_sizes(settings: Settings) -> None:
    """What becomes a Lambda function's variables, and what becomes a role's policy."""
    size = len(settings.api.policy.encode()) + len(settings.backends_json.encode())
    _want("api.policy with gateway.backends", f"{size} bytes", size <= MAX_VARIABLES_BYTES,
          f"{MAX_VARIABLES_BYTES} bytes together at most")  # fmt: skip
    if gateway := settings.gateway:
        size = 2 * sum(map(len, gateway.bucket_arns)) + sum(map(len, gateway.secret_arns))
        _want("gateway.bucket_arns with gateway.secret_arns", f"{size} bytes", size <= MAX_POLICY_BYTES,
              f"{MAX_POLICY_BYTES} bytes at most, those of buckets counted twice")  # fmt: skip


def _per_region(settings: Settings, field: str, given: dict[str, str], pattern: re.Pattern[str], expected: str) -> None:
    known = [each.region for each in settings.regions]
    for region, arn in given.items():
        _want(f"{field}.{region}", arn, region in known, f"one of the regions {_listed(known)}")
        match = pattern.fullmatch(arn)
        _want(f"{field}.{region}", arn, match and match[1] == region, expected)
    missing = [region for region in known if region not in given]
    _want(field, given, not given or not missing, f"all regions or none; missing: {_listed(missing)}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
