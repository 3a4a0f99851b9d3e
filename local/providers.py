"""The gateway's places in this world: three S3s that are not the same program, each with a key pair of its own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from local.identities import Identities, Identity
from local.old_b2 import REGION as B2_REGION
from local.old_b2 import OldB2
from local.provider_faults import ProviderFaults
from local.rclone_server import RcloneServer
from local.replication import Replication
from local.s3_errors import S3Error
from local.server import App, Request, Response

MAX_BODY_BYTES = 4_500_000  # as template.yaml has it

# As useless anywhere else as the world's own.
SECRET = "local-world-gateway-secret-that-opens-nothing"


@dataclass(frozen=True, slots=True)
class Provider:
    """One of BACKENDS: `kind` is the provider's name in the gateway's table, `bucket` makes a bucket's name there."""

    name: str
    kind: str
    zone_code: str
    region: str
    bucket: str
    identity: Identity

    @property
    def variable(self) -> str:
        """What the names of its credentials' variables begin with."""
        return self.name.upper().replace("-", "_")


# moto has one namespace for all buckets: where it is behind two places, their buckets have different names.
PROVIDERS = (
    Provider("eu-west-2", "aws", "eu-lon", "eu-west-2", "{bucket}-eu", Identity("AKIAGATEWAYLOCAL0000", "local-aws-0")),
    Provider("harbor", "rclone", "eu-ham", "eu-harbor", "{bucket}", Identity("HARBORLOCAL00000", "local-harbor-0")),
    Provider("b2", "b2", "us-sac", B2_REGION, "{bucket}-b2", Identity("004b2local0000000000000001", "local-b2-0")),
)
NAMES = tuple(provider.name for provider in PROVIDERS)
PRIMARY = PROVIDERS[0]


class Providers:
    """The apps of the providers, by name, and what is wrong with them."""

    def __init__(self, aws: App, replication: Replication) -> None:
        _, harbor, b2 = PROVIDERS
        self.faults = ProviderFaults(NAMES)
        self._harbor = RcloneServer(harbor.identity)
        behind: tuple[App, ...] = (aws, self._harbor, OldB2(b2.identity, replication))
        self.apps: Mapping[str, App] = {
            name: _Front(name, app, self.faults) for name, app in zip(NAMES, behind, strict=True)
        }

    def close(self) -> None:
        """End the server that is a process."""
        self._harbor.close()


class _Front:
    """What stands before a provider, and lets requests suffer its faults."""

    def __init__(self, name: str, app: App, faults: ProviderFaults) -> None:
        self._name = name
        self._app = app
        self._faults = faults

    def __call__(self, request: Request) -> Response:
        try:
            self._faults.before(self._name, request)
        except S3Error as error:
            return error.response("LOCALFAULT")
        return self._faults.after(self._name, request, self._app(request))


def identities(world: Identity) -> Identities:
    """Who may sign requests to this world's AWS: the world itself, and the gateway for its own buckets."""
    return Identities(world, PRIMARY.identity)


def variables(provider_urls: Mapping[str, str], queue_url: str, sqs_url: str) -> dict[str, str]:
    """The variables of the gateway's functions, for providers at these addresses."""
    backends = [
        {
            "name": provider.name,
            "provider": provider.kind,
            "zone_code": provider.zone_code,
            "region": provider.region,
            "endpoint_url": provider_urls[provider.name],
            "bucket": provider.bucket,
            "credentials": {"environment": provider.variable},
            "is_primary": provider is PRIMARY,
        }
        for provider in PROVIDERS
        if provider.name in provider_urls
    ]
    keys = {
        name: value
        for provider in PROVIDERS
        for name, value in (
            (f"{provider.variable}_ACCESS_KEY_ID", provider.identity.access_key_id),
            (f"{provider.variable}_SECRET_ACCESS_KEY", provider.identity.secret_access_key),
        )
    }
    return keys | {
        "BACKENDS": json.dumps({"backends": backends, "replication": {"required_replicas": 2}}),
        "GATEWAY_DOMAINS": "s3.localhost",
        "GATEWAY_MAX_BODY_BYTES": str(MAX_BODY_BYTES),
        "GATEWAY_SECRET": SECRET,
        "GATEWAY_QUEUE_URL": queue_url,
        "SQS_ENDPOINT": sqs_url,
    }


def without_credentials(variables: dict[str, str]) -> dict[str, str]:
    """The same variables, with places that are asked with the function's own key pair, which they take too: `sam local`
    hands on no variable that the template does not declare, so none of theirs."""
    configuration = json.loads(variables["BACKENDS"])
    for backend in configuration["backends"]:
        backend.pop("credentials", None)
    return {**variables, "BACKENDS": json.dumps(configuration)}
