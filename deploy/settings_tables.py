"""The tables of nearside.toml: each field, and its value where the file gives none."""

from typing import Literal

import msgspec

from deploy.edge_settings import Edge


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file."""


class Region(_Table, frozen=True):
    """A region and its bucket; with `adopt` the bucket exists, and CloudFormation does not touch it."""

    region: str
    bucket: str
    adopt: bool = False


class Replication(_Table, frozen=True):
    """The rules from every bucket to every other."""

    rtc: bool = False
    metrics: bool = True
    delete_markers: bool = True
    modifications: bool = True
    prefixes: list[str] = msgspec.field(default_factory=lambda: [""])
    lag_target_seconds: int = 900
    repair_job_over: int = 1000


class Buckets(_Table, frozen=True):
    """What the buckets are made with. `kms_key` has a key for every region, or none."""

    kms_key: dict[str, str] = {}
    object_lock_days: int = 0
    object_lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"
    old_versions_days: int = 90
    cors_origins: list[str] = []
    probe_addresses: list[str] = []


class Api(_Table, frozen=True):
    """Who may call, and from where."""

    auth: Literal["jwt", "iam"] = "jwt"
    issuer: str = ""
    audience: list[str] = msgspec.field(default_factory=lambda: ["nearside"])
    policy: str = '[{"claim":"sub","prefixes":["users/${sub}/"],"actions":["read","write","delete"]}]'
    origins: list[str] = msgspec.field(default_factory=lambda: ["*"])
    listing_max_age: int = 0
    domain: str = ""
    certificate: dict[str, str] = {}
    zone: str = ""
    throttle_rate: int = 1000
    throttle_burst: int = 500


class MrapSettings(_Table, frozen=True):
    """Whether there is a Multi-Region Access Point."""

    enabled: bool = True


class Alarms(_Table, frozen=True):
    """Who is told, and when. `topic_key` has a key for every region, or none."""

    email: str = ""
    topic_key: dict[str, str] = {}
    api_latency_milliseconds: int = 10_000
    catalog_latency_milliseconds: int = 60_000


class Functions(_Table, frozen=True):
    """What bounds them, and how long their logs are kept."""

    reserve_concurrency: bool = True
    replica_events_concurrency: int = 20
    log_retention_days: int = 30


class Security(_Table, frozen=True):
    """Keys of yours for queues, table, secret and logs: one for every region, or none."""

    kms_key: dict[str, str] = {}


class Gateway(_Table, frozen=True):
    """The gateway's places: a JSON file (docs/gateway.md), and what it may reach."""

    backends: str
    domains: list[str] = []
    bucket_arns: list[str] = []
    secret_arns: list[str] = []
    replicator_concurrency: int = 20


class Page(_Table, frozen=True):
    """The page in front of the API (docs/page.md). `certificate` is in us-east-1, for `domain`; `origins` are what it
    may speak to beside the API, the issuer and the buckets."""

    enabled: bool = False
    title: str = "Nearside"
    client_id: str = ""
    scope: str = "openid"
    token: Literal["access_token", "id_token"] = "access_token"
    origins: list[str] = []
    domain: str = ""
    certificate: str = ""
    zone: str = ""
    price_class: Literal["PriceClass_100", "PriceClass_200", "PriceClass_All"] = "PriceClass_All"
    web_acl: str = ""


class Settings(_Table, frozen=True):
    """The whole file. The first region is the primary."""

    regions: list[Region]
    name: str = "nearside"
    profile: str = ""
    replication: Replication = Replication()
    buckets: Buckets = Buckets()
    api: Api = Api()
    mrap: MrapSettings = MrapSettings()
    edge: Edge = Edge()
    page: Page = Page()
    alarms: Alarms = Alarms()
    functions: Functions = Functions()
    security: Security = Security()
    gateway: Gateway | None = None
    backends_json: str = ""  # filled in by `parse`, not by the file

    @property
    def primary(self) -> Region:
        return self.regions[0]
