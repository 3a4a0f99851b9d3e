"""The edge of a world as stacks/edge.yaml describes it: its name server, its functions and its cache."""

import contextlib
import re
from collections.abc import Callable, Mapping

from local import ROOT
from local.deployment import MRAP_ALIAS, PRIMARY, REGIONS, bucket_of
from local.distribution_template import read_distribution
from local.dns_server import DnsServer
from local.dns_zone import DEFAULT_TTL_SECONDS, ORIGIN_NAME, Zone
from local.edge import Edge
from local.edge_origins import Origins
from local.edge_triggers import Triggers
from local.identities import WORLD
from local.locations import Location
from local.mrap import MultiRegionAccessPoint
from local.ports import LOOPBACK
from local.s3 import RegionalS3

TEMPLATE = ROOT / "stacks" / "edge.yaml"

# AWS keeps an object for a day that says nothing itself. Somebody who has changed a record looks again sooner: what
# they see then is at most this much later than the record's own TTL.
DEFAULT_TTL = "1"

# Lambda@Edge has no variables of one's own.
ENVIRONMENT = {
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": WORLD.access_key_id,
    "AWS_SECRET_ACCESS_KEY": WORLD.secret_access_key,
    "AWS_SESSION_TOKEN": "",
}
_REGION = re.compile(r"\.s3\.(?:dualstack\.)?([a-z0-9-]+)\.amazonaws\.com")


def edge_parameters(resolver: str) -> dict[str, str]:
    """The parameters of stacks/edge.yaml for this world; `resolver` is its name server's address and port."""
    replica = REGIONS[1]
    return {
        "Bucket": bucket_of(PRIMARY),
        "BucketRegion": PRIMARY,
        "ReplicaBucket": bucket_of(replica),
        "ReplicaRegion": replica,
        "MrapAlias": MRAP_ALIAS,
        "TxtName": ORIGIN_NAME,
        "OriginAuth": "sigv4",
        "OriginAllow": "nearside-*",
        "OriginTtl": "1-300",
        "OriginResolvers": resolver,
        "OriginDebug": "true",
        "DefaultTtl": DEFAULT_TTL,
    }


class EdgeStack:
    """The name server, which listens at once, and `app`, which is to be served. Raises PortInUse, TemplateError and
    FunctionFailed."""

    def __init__(
        self,
        s3: Mapping[str, RegionalS3],
        mrap: MultiRegionAccessPoint,
        location: Callable[[], Location],
        is_on: Callable[[str], bool],
        dns_port: int,
    ) -> None:
        self._is_on = is_on
        self.zone = Zone(self._is_healthy)
        self._put_first_record()
        with contextlib.ExitStack() as stack:
            self.dns = stack.enter_context(contextlib.closing(DnsServer(self.zone, LOOPBACK, dns_port)))
            distribution = read_distribution(TEMPLATE, edge_parameters(self.dns.address))
            self.origins = Origins(s3, mrap, MRAP_ALIAS)
            self.app = Edge(distribution, Triggers(distribution, ENVIRONMENT), self.origins, location)
            stack.pop_all()

    def load(self) -> None:
        """New containers: the functions remember nothing. Raises FunctionFailed."""
        self.app.triggers.load()

    def heal(self) -> None:
        """The name server well, with the first record only, and nothing kept at the edge."""
        self.dns.mend()
        self.zone.clear()
        self._put_first_record()
        self.app.cache.clear()

    def close(self) -> None:
        """Stop the name server."""
        self.dns.close()

    def _put_first_record(self) -> None:
        """As the stack's records begin: all to the primary while it is healthy."""
        hosts = [f"{bucket_of(region)}.s3.{region}.amazonaws.com" for region in REGIONS]
        self.zone.set(ORIGIN_NAME, hosts, DEFAULT_TTL_SECONDS, weights=(100, 0))

    def _is_healthy(self, text: str) -> bool:
        """Whether the regions that the record names are on, as far as this world has them."""
        return all(region not in REGIONS or self._is_on(region) for region in _REGION.findall(text))
