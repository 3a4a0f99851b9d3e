"""The settings: one frozen record, read once from the environment, strictly. Nothing else reads the environment."""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

import msgspec

from nearside.access import Policy, Rule
from nearside.errors import BadSettings
from nearside.places import Mrap, Place
from nearside.signing import Credentials

type AuthMode = Literal["jwt", "iam", "none"]

# Not compiled here: a function compiles what its own variables need, each a tenth of a millisecond of its cold start.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_REGION = r"[a-z0-9-]{2,32}"
_REGIONS = r"[a-z0-9-]{2,32}(,[a-z0-9-]{2,32})*"
_ENDPOINT = r"https?://[A-Za-z0-9.:\[\]_-]+(/[^?#]*)?"
_ALIAS = r"[a-z0-9]+\.mrap"
_ROLE = r"arn:aws[a-z-]*:iam::\d{12}:role/.+"
_WHOLE = r"[1-9]\d{0,5}"
_TABLE = r"[A-Za-z0-9_.-]{3,255}"
_DOMAINS = r"[a-z0-9-]+(\.[a-z0-9-]+)*(,[a-z0-9-]+(\.[a-z0-9-]+)*)*"
MIN_CURSOR_KEY_CHARACTERS = 16
MIN_GATEWAY_SECRET_CHARACTERS = 32
MAX_LISTING_MAX_AGE = 86_400
_MAX_BODY_BYTES = 4_500_000


class Settings(msgspec.Struct, frozen=True):
    """What a function is told by its environment. `places` has the primary first.

    | variable | meaning |
    |---|---|
    | `BUCKET`, `BUCKET_REGION` | the primary bucket and its region (default: `AWS_REGION`) |
    | `S3_ENDPOINT` | an S3-compatible endpoint for the primary; empty for AWS |
    | `REPLICAS` | JSON list of the other places: `[{"region", "bucket", "endpoint"?}]` |
    | `USE_MRAP` | `true` or `false`: the migration switch |
    | `MRAP_ALIAS`, `MRAP_ENDPOINT` | the MRAP (`….mrap`), and an emulation's address; empty for AWS |
    | `AUTH_MODE` | `jwt` or `iam`: what the API's authorizer is; `none` exists for the local world only |
    | `ACCESS_POLICY` | JSON list of rules, see `nearside.access.Rule` |
    | `SIGNING_ROLE_ARN` | the role whose sessions sign URLs; empty: the function's own credentials |
    | `CURSOR_KEY` | secret that seals listing cursors, at least 16 characters |
    | `LISTING_MAX_AGE` | seconds that a client may keep a listing, 0 (default: it may not) to 86400 |
    | `S3CONTROL_ENDPOINT` | an emulation of S3 Control; empty for AWS |
    | `CLOUDWATCH_ENDPOINT` | an emulation of CloudWatch; empty for AWS |
    | `BATCH_ROLE_ARN` | the role of S3 Batch Replication jobs; empty: none is started |
    | `REPAIR_JOB_OVER` | the number of failed replicas above which such a job mends them; default 1000 |
    | `TABLE`, `DYNAMODB_ENDPOINT` | the catalog's table (empty: there is none), and an emulation; empty for AWS |
    | `TABLE_REGIONS` | the regions of the table's replicas, `eu-west-2,us-east-2`; empty: the primary's alone |
    | `REPLICATES_DELETE_MARKERS` | `true` (default) or `false`: whether the buckets' rules replicate delete markers |
    | `REPLICATED_PREFIXES` | JSON list: the keys that the buckets' rules replicate; empty: all, which is `[""]` |
    | `LAG_TARGET_SECONDS` | how long a copy may take until it is overdue (default: 900, S3's own for its RTC) |
    | `BACKENDS` | JSON: the gateway's places, see `nearside.gateway.backends`, which reads it; here it is text |
    | `GATEWAY_DOMAINS` | domains whose sub-domains are the gateway's buckets, comma separated; empty: path style only |
    | `GATEWAY_MAX_BODY_BYTES` | the most bytes that an answer of the gateway has; default 4500000 |
    | `GATEWAY_SECRET` | what clients' secret keys are derived from, at least 32 characters |
    | `GATEWAY_QUEUE_URL`, `SQS_ENDPOINT` | the replicator's queue, and an emulation of SQS; empty for AWS |
    """

    places: tuple[Place, ...]
    home: Place
    use_mrap: bool
    mrap: Mrap | None
    auth_mode: AuthMode
    policy: Policy
    signing_role_arn: str
    cursor_key: str
    listing_max_age: int
    credentials: Credentials | None
    region: str
    s3control_endpoint: str
    table: str
    table_regions: tuple[str, ...]
    dynamodb_endpoint: str
    replicates_delete_markers: bool
    replicated_prefixes: tuple[str, ...]
    lag_target_seconds: int
    cloudwatch_endpoint: str
    batch_role_arn: str
    repair_job_over: int
    backends: str
    gateway_domains: tuple[str, ...]
    gateway_max_body_bytes: int
    gateway_secret: str
    gateway_queue_url: str
    sqs_endpoint: str

    @property
    def primary(self) -> Place:
        return self.places[0]

    def __repr__(self) -> str:
        return f"Settings(places={self.places!r}, region={self.region!r}, table={self.table!r})"  # the rest has secrets


def load(
    *, needs: Sequence[str] = (), overrides: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """The settings of this process. Raises BadSettings naming the variable that is missing or wrong.

    `needs` are variables that this function cannot do without though others can; `overrides` win over the environment,
    as a command's options do.
    """
    env = {**(os.environ if environ is None else environ), **(overrides or {})}
    for name in ("BUCKET", *needs):
        if not env.get(name):
            raise BadSettings(f"{name} is not set")
    region = _matched(env, "AWS_REGION", _REGION, "a region such as eu-west-2", env.get("AWS_DEFAULT_REGION", ""))
    primary = Place(
        region=_matched(env, "BUCKET_REGION", _REGION, "a region such as eu-west-2", region),
        bucket=_matched(env, "BUCKET", _BUCKET, "a bucket's name"),
        endpoint=_matched(env, "S3_ENDPOINT", _ENDPOINT, "http(s)://host[:port][/path]", ""),
    )
    if not primary.region:
        raise BadSettings("BUCKET_REGION is not set, and neither is AWS_REGION")
    places = (primary, *_replicas(env, primary))
    return Settings(
        places=places,
        home=next((place for place in places if place.region == region), primary),
        use_mrap=_choice(env, "USE_MRAP", ("true", "false"), "false") == "true",
        mrap=_mrap(env),
        auth_mode=cast(AuthMode, _choice(env, "AUTH_MODE", ("jwt", "iam", "none"), "jwt")),
        policy=Policy(_json(env, "ACCESS_POLICY", list[Rule])),
        signing_role_arn=_matched(env, "SIGNING_ROLE_ARN", _ROLE, "the ARN of a role", ""),
        cursor_key=_secret(env, "CURSOR_KEY", MIN_CURSOR_KEY_CHARACTERS),
        listing_max_age=_listing_max_age(env),
        credentials=_credentials(env),
        region=region or primary.region,
        s3control_endpoint=_matched(env, "S3CONTROL_ENDPOINT", _ENDPOINT, "http(s)://host[:port]", ""),
        table=_matched(env, "TABLE", _TABLE, "a table's name", ""),
        table_regions=_table_regions(env, primary),
        dynamodb_endpoint=_matched(env, "DYNAMODB_ENDPOINT", _ENDPOINT, "http(s)://host[:port]", ""),
        cloudwatch_endpoint=_matched(env, "CLOUDWATCH_ENDPOINT", _ENDPOINT, "http(s)://host[:port]", ""),
        replicates_delete_markers=_choice(env, "REPLICATES_DELETE_MARKERS", ("true", "false"), "true") == "true",
        replicated_prefixes=tuple(_json(env, "REPLICATED_PREFIXES", list[str])) or ("",),
        lag_target_seconds=int(_matched(env, "LAG_TARGET_SECONDS", _WHOLE, "a whole number of at least 1", "900")),
        batch_role_arn=_matched(env, "BATCH_ROLE_ARN", _ROLE, "the ARN of a role", ""),
        repair_job_over=int(_matched(env, "REPAIR_JOB_OVER", _WHOLE, "a whole number of at least 1", "1000")),
        **_gateway(env),
    )


def _gateway(env: Mapping[str, str]) -> dict[str, Any]:
    return {
        "backends": env.get("BACKENDS", ""),
        "gateway_domains": _domains(env),
        "gateway_max_body_bytes": _max_body_bytes(env),
        "gateway_secret": _secret(env, "GATEWAY_SECRET", MIN_GATEWAY_SECRET_CHARACTERS),
        "gateway_queue_url": _matched(env, "GATEWAY_QUEUE_URL", _ENDPOINT, "the URL of a queue", ""),
        "sqs_endpoint": _matched(env, "SQS_ENDPOINT", _ENDPOINT, "http(s)://host[:port]", ""),
    }


def environment_credentials(name: str, environ: Mapping[str, str] | None = None) -> Credentials:
    """The key pair in `<NAME>_ACCESS_KEY_ID` and `<NAME>_SECRET_ACCESS_KEY` (and `<NAME>_SESSION_TOKEN`, if it is set).
    Raises BadSettings naming the variable that is missing."""
    env = os.environ if environ is None else environ
    for half in (f"{name}_ACCESS_KEY_ID", f"{name}_SECRET_ACCESS_KEY"):
        if not env.get(half):
            raise BadSettings(f"{half} is not set")
    token = env.get(f"{name}_SESSION_TOKEN", "")
    return Credentials(env[f"{name}_ACCESS_KEY_ID"], env[f"{name}_SECRET_ACCESS_KEY"], token)


_OF_OTHERS = r"AWS_|HOME$|XDG_|LOCALAPPDATA$"


class CacheSettings(msgspec.Struct, frozen=True):
    """What the environment says of `nearside.cache`: the folder (`NEARSIDE_CACHE_DIR`; empty: the user's own), the most
    bytes in it (`NEARSIDE_CACHE_MAX_BYTES`; None: a part of the disk), and whether this is a Lambda function, where
    nothing but `/tmp` can be written. `others` differs when anything does that other libraries read: AWS's SDKs
    (`AWS_…`), and who knows where the user's folders are."""

    folder: str
    max_bytes: int | None
    in_lambda: bool
    others: int


def cache(environ: Mapping[str, str] | None = None) -> CacheSettings:
    """The cache's settings of this process. Raises BadSettings naming the variable that is wrong."""
    env = os.environ if environ is None else environ
    most = _matched(env, "NEARSIDE_CACHE_MAX_BYTES", r"[1-9]\d{0,17}", "a whole number of bytes")
    return CacheSettings(
        folder=env.get("NEARSIDE_CACHE_DIR", ""),
        max_bytes=int(most) if most else None,
        in_lambda="AWS_LAMBDA_FUNCTION_NAME" in env,
        others=hash(tuple(sorted(item for item in env.items() if re.match(_OF_OTHERS, item[0])))),
    )


def _secret(env: Mapping[str, str], name: str, characters: int) -> str:
    secret = env.get(name, "")
    if secret and len(secret) < characters:
        raise BadSettings(f"{name} has {len(secret)} characters: at least {characters} expected")
    return secret


def _domains(env: Mapping[str, str]) -> tuple[str, ...]:
    domains = _matched(env, "GATEWAY_DOMAINS", _DOMAINS, "domains in lower case, such as s3.example.org,s3.example.com")
    return tuple(domains.split(",")) if domains else ()


def _listing_max_age(env: Mapping[str, str]) -> int:
    name, what = "LISTING_MAX_AGE", f"whole seconds from 0 to {MAX_LISTING_MAX_AGE}"
    seconds = int(_matched(env, name, r"[0-9]{1,5}", what, "0"))
    if seconds > MAX_LISTING_MAX_AGE:
        raise BadSettings(f"{name} is {str(seconds)!r}: expected {what}")
    return seconds


def _max_body_bytes(env: Mapping[str, str]) -> int:
    name = "GATEWAY_MAX_BODY_BYTES"
    what = "a whole number of at least 1"
    return int(_matched(env, name, r"[1-9]\d{0,9}", what)) if env.get(name) else _MAX_BODY_BYTES


def _table_regions(env: Mapping[str, str], primary: Place) -> tuple[str, ...]:
    what = "regions such as eu-west-2,us-east-2"
    return tuple(_matched(env, "TABLE_REGIONS", _REGIONS, what, primary.region).split(","))


def _replicas(env: Mapping[str, str], primary: Place) -> list[Place]:
    replicas = _json(env, "REPLICAS", list[_Replica])
    seen = {primary.region}
    for index, replica in enumerate(replicas):
        for field, value, pattern in (("region", replica.region, _REGION), ("bucket", replica.bucket, _BUCKET)):
            if not re.fullmatch(pattern, value):
                raise BadSettings(f"REPLICAS[{index}].{field} is {value!r}, which is no {field}")
        if replica.endpoint and not re.fullmatch(_ENDPOINT, replica.endpoint):
            raise BadSettings(
                f"REPLICAS[{index}].endpoint is {replica.endpoint!r}: expected http(s)://host[:port][/path]"
            )
        if replica.region in seen:
            raise BadSettings(f"REPLICAS[{index}].region is {replica.region!r}, which another place has already")
        seen.add(replica.region)
    return [Place(r.region, r.bucket, r.endpoint) for r in replicas]


class _Replica(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    region: str
    bucket: str
    endpoint: str = ""


def _mrap(env: Mapping[str, str]) -> Mrap | None:
    alias = _matched(env, "MRAP_ALIAS", _ALIAS, "an alias such as mfzwi23gnjvgw.mrap", "")
    if not alias:
        if env.get("USE_MRAP") == "true":
            raise BadSettings("MRAP_ALIAS is not set, and USE_MRAP is true")
        return None
    return Mrap(alias, _matched(env, "MRAP_ENDPOINT", _ENDPOINT, "http(s)://host[:port]", ""))


def _credentials(env: Mapping[str, str]) -> Credentials | None:
    """The key pair in the environment. Lambda does not tell when its session ends, so no end is known then;
    `aws configure export-credentials` does tell, in AWS_CREDENTIAL_EXPIRATION."""
    access_key_id, secret = env.get("AWS_ACCESS_KEY_ID", ""), env.get("AWS_SECRET_ACCESS_KEY", "")
    if bool(access_key_id) != bool(secret):
        name = "AWS_SECRET_ACCESS_KEY" if access_key_id else "AWS_ACCESS_KEY_ID"
        raise BadSettings(f"{name} is not set, and its other half is")
    if not access_key_id:
        return None
    end = env.get("AWS_CREDENTIAL_EXPIRATION")
    try:
        expires_at = datetime.fromisoformat(end).timestamp() if end else None
    except ValueError as error:
        raise BadSettings(f"AWS_CREDENTIAL_EXPIRATION is {end!r}: expected an ISO 8601 time") from error
    return Credentials(access_key_id, secret, env.get("AWS_SESSION_TOKEN", ""), expires_at)


def _matched(env: Mapping[str, str], name: str, pattern: str, what: str, default: str = "") -> str:
    value = env.get(name) or default
    if value and not re.fullmatch(pattern, value):
        raise BadSettings(f"{name} is {value!r}: expected {what}")
    return value


def _choice(env: Mapping[str, str], name: str, choices: Sequence[str], default: str) -> str:
    value = env.get(name) or default
    if value not in choices:
        raise BadSettings(f"{name} is {value!r}: expected one of {', '.join(choices)}")
    return value


def _json[T](env: Mapping[str, str], name: str, shape: type[list[T]]) -> list[T]:
    try:
        return msgspec.json.decode(env.get(name) or "[]", type=shape)
    except msgspec.DecodeError as error:
        raise BadSettings(f"{name} is not what it should be: {error}") from error
