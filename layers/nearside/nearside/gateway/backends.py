"""The configuration of the gateway's places, `BACKENDS`: read strictly, with errors that name the field."""

import ipaddress
import re
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec

from nearside.errors import BadSettings
from nearside.gateway.errors import InvalidBucketName
from nearside.gateway.places import Promise
from nearside.gateway.providers import PROVIDERS, Provider, ProviderName

VARIABLE = "BACKENDS"
_NAME = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]
_ZONE = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
_REGION = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{2,32}$")]
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TEMPLATE = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9.-]*\{bucket\}[a-z0-9.-]*$")]
_VARIABLES = Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
_SECRET = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
_PARAMETER = Annotated[str, msgspec.Meta(pattern=r"^/?[A-Za-z0-9_./-]{1,1011}$")]


class CredentialsAt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a place's key pair is, one of the three: the variables `<NAME>_ACCESS_KEY_ID` and
    `<NAME>_SECRET_ACCESS_KEY`; a secret of Secrets Manager, or a parameter of SSM, that holds
    `{"access_key_id": …, "secret_access_key": …}`. Never the key pair itself."""

    environment: _VARIABLES | None = None
    secretsmanager: _SECRET | None = None
    ssm: _PARAMETER | None = None

    def __repr__(self) -> str:
        return "CredentialsAt(…)"  # somebody may have put the secret itself here


class Backend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place. `endpoint_url` is https, or http within a machine or a private network; only `aws` needs none.
    `bucket` makes the name of the place's bucket out of the gateway's. Without `credentials` the function's own are
    used."""

    name: _NAME
    provider: ProviderName
    zone_code: _ZONE
    region: _REGION
    endpoint_url: str = ""
    bucket: _TEMPLATE = "{bucket}"
    credentials: Annotated[
        CredentialsAt | None, msgspec.Meta(extra_json_schema={"minProperties": 1, "maxProperties": 1})
    ] = None
    enabled: bool = True
    is_primary: bool = False

    @property
    def facts(self) -> Provider:
        """What is known of its provider."""
        return PROVIDERS[self.provider]

    def bucket_name(self, bucket: str) -> str:
        """The place's name for a bucket of the gateway. Raises InvalidBucketName when that is none."""
        name = self.bucket.replace("{bucket}", bucket)
        if not _BUCKET.fullmatch(name):
            raise InvalidBucketName(f"{bucket!r} would be {name!r} in {self.name}, which is no bucket's name")
        return name


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The places, one of them primary, and what a write promises."""

    backends: Annotated[Sequence[Backend], msgspec.Meta(min_length=1, max_length=32)]
    replication: Promise = Promise()

    @property
    def enabled(self) -> list[Backend]:
        """Those that are in use, the primary first."""
        return sorted((each for each in self.backends if each.enabled), key=lambda each: not each.is_primary)


def parse(text: str) -> Configuration:
    """The configuration in `BACKENDS`. Raises BadSettings naming the field, what it is and what it should be; never
    with anything of `credentials` in it."""
    if not text:
        raise BadSettings(f"{VARIABLE} is not set")
    try:
        configuration = msgspec.json.decode(text, type=Configuration)
    except msgspec.ValidationError as error:
        raise BadSettings(_explained(str(error), msgspec.json.decode(text))) from None
    except msgspec.DecodeError as error:
        raise BadSettings(f"{VARIABLE} is no JSON: {error}") from None
    for index, backend in enumerate(configuration.backends):
        _check(backend, f"{VARIABLE}.backends[{index}]")
    _check_together(configuration)
    return configuration


def schema() -> dict[str, Any]:
    """The JSON Schema of `BACKENDS`, as docs/backends.schema.json has it. What one field must be in the light of
    another is not in it."""
    [root], components = msgspec.json.schema_components((Configuration,), ref_template="#/$defs/{name}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": VARIABLE, **root, "$defs": components}


def _check(backend: Backend, where: str) -> None:
    if backend.endpoint_url:
        _check_endpoint(backend.endpoint_url, f"{where}.endpoint_url")
    elif backend.provider != "aws":
        raise BadSettings(f"{where}.endpoint_url is '': expected https://host, since {backend.provider} is not aws")
    keys = backend.credentials
    if keys is not None and [keys.environment, keys.secretsmanager, keys.ssm].count(None) != 2:
        raise BadSettings(f"{where}.credentials: expected exactly one of environment, secretsmanager, ssm")


def _check_endpoint(url: str, where: str) -> None:
    if "@" in url:
        shown = re.sub(r"//.*@", "//…@", url) if "//" in url else "…"
        raise BadSettings(f"{where} is {shown!r}: expected no credentials in a URL")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadSettings(f"{where} is {url!r}: expected https://host[:port][/path]") from None
    wrong = parts.query or parts.fragment or port == 0 or not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9a-fA-F:]+", host)
    if parts.scheme not in ("http", "https") or wrong or re.search(r"[\s?#]", url):
        raise BadSettings(f"{where} is {url!r}: expected https://host[:port][/path]")
    if parts.scheme == "http" and not _is_private(host):
        raise BadSettings(
            f"{where} is {url!r}: expected https, since only a loopback or private address, localhost and names "
            "under .internal may be http"
        )


def _is_private(host: str) -> bool:
    """Whether what is sent there unencrypted stays in the machine or its network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # RFC 6761, 6.3; ICANN keeps .internal for private use (https://www.icann.org/en/board-activities-and-meetings/
        # materials/approved-resolutions-special-meeting-of-the-icann-board-29-07-2024-en).
        return host == "localhost" or host.endswith(".internal")
    return address.is_private and not address.is_unspecified


def _check_together(configuration: Configuration) -> None:
    seen: set[str] = set()
    for index, each in enumerate(configuration.backends):
        if each.name in seen:
            raise BadSettings(f"{VARIABLE}.backends[{index}].name is {each.name!r}, which another place has already")
        seen.add(each.name)
    enabled = configuration.enabled
    held: dict[object, str] = {}
    for each in enabled:
        other = held.setdefault(_where(each), each.name)
        if other != each.name:
            raise BadSettings(f"{VARIABLE}.backends: {other} and {each.name} are the same buckets: one copy, not two")
    primaries = [each.name for each in enabled if each.is_primary]
    if len(primaries) != 1:
        found = ", ".join(primaries) or "none"
        raise BadSettings(f"{VARIABLE}.backends: is_primary is true for {found}: expected exactly one enabled place")
    required = configuration.replication.required_replicas
    if not 1 <= required <= len(enabled):
        raise BadSettings(
            f"{VARIABLE}.replication.required_replicas is {required}: expected 1 to {len(enabled)}, "
            "the number of enabled places"
        )


def _where(backend: Backend) -> object:
    """What the place's buckets are known by. AWS has each name once, whatever the region and the account."""
    if not backend.endpoint_url:
        return backend.region.startswith("cn-"), backend.region.startswith("us-gov-"), backend.bucket
    return backend.endpoint_url.rstrip("/").lower(), backend.region, backend.bucket, backend.credentials


def _explained(said: str, document: Any) -> str:
    """msgspec's words with the variable's name before the path, and the value that is there."""
    what, _, path = said.partition(" - at `$")
    path = path.rstrip("`")
    where = VARIABLE + path
    if ".credentials" in path:  # a name may be the secret too, in the wrong place
        what = "an unknown field" if "unknown field" in what else what
        return f"{where}: {what[0].lower()}{what[1:]} (what is there is not shown)"
    if "unknown field" in what or "missing required field" in what:
        return f"{where}: {what[0].lower()}{what[1:]}"
    if path.endswith(".provider"):
        what = f"expected one of {', '.join(PROVIDERS)}"
    return f"{where} is {_found(document, path)}: {what[0].lower()}{what[1:]}"


def _found(document: Any, path: str) -> str:
    for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path):
        document = document[name] if name else document[int(index)]
    text = msgspec.json.encode(document).decode()
    return text if len(text) <= 80 and not isinstance(document, dict | list) else f"a JSON {type(document).__name__}"
