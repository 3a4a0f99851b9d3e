"""Places: where a copy of an object can live, how far each is from a viewer, and the address an object has in each."""

from collections.abc import Iterable, Sequence
from math import asin, cos, radians, sin, sqrt

import msgspec

from nearside import geography


class Place(msgspec.Struct, frozen=True):
    """The bucket of one AWS region, or of one S3-compatible endpoint.

    `endpoint` is empty for AWS; otherwise objects are addressed path style as `<endpoint>/<bucket>/<key>`.
    `name` is the region, and is what answers call the place.
    """

    region: str
    bucket: str
    endpoint: str = ""

    @property
    def name(self) -> str:
        return self.region

    @property
    def base(self) -> tuple[str, str, str]:
        """Scheme, host and path prefix of the bucket: an object's URL is `<scheme>://<host><prefix>/<encoded key>`.

        AWS buckets are addressed virtual-hosted, except names with a dot, which TLS wildcard certificates do not
        cover (https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html).
        """
        if self.endpoint:
            scheme, host, prefix = split_endpoint(self.endpoint)
            return scheme, host, f"{prefix}/{self.bucket}"
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        if "." in self.bucket:
            return "https", f"s3.{self.region}.{suffix}", f"/{self.bucket}"
        return "https", f"{self.bucket}.s3.{self.region}.{suffix}", ""


class Mrap(msgspec.Struct, frozen=True):
    """A Multi-Region Access Point by its alias (`mfzwi23gnjvgw.mrap`), or an emulation of one at `endpoint`."""

    alias: str
    endpoint: str = ""

    @property
    def base(self) -> tuple[str, str, str]:
        """Scheme, host and path prefix, as for a place
        (https://docs.aws.amazon.com/AmazonS3/latest/userguide/MultiRegionAccessPointRequests.html)."""
        if self.endpoint:
            return split_endpoint(self.endpoint)
        return "https", f"{self.alias}.accesspoint.s3-global.amazonaws.com", ""


class Viewer(msgspec.Struct, frozen=True):
    """Where a viewer is, in degrees."""

    latitude: float
    longitude: float


def split_endpoint(endpoint: str) -> tuple[str, str, str]:
    """Scheme, host with port, path without its last slash: `https://h:9000/s3/` is `("https", "h:9000", "/s3")`."""
    scheme, _, rest = endpoint.partition("://")
    host, slash, path = rest.partition("/")
    return scheme, host, (slash + path).rstrip("/")


def viewer_of(country: str | None, latitude: str | None, longitude: str | None) -> Viewer | None:
    """The viewer that CloudFront's `CloudFront-Viewer-Country`, `-Latitude` and `-Longitude` headers describe.

    The coordinates win over the country, whose middle stands for it. None when neither says anything usable
    (https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/adding-cloudfront-headers.html).
    """
    try:
        north, east = float(latitude or ""), float(longitude or "")
        if -90 <= north <= 90 and -180 <= east <= 180:
            return Viewer(north, east)
    except ValueError:
        pass
    middle = geography.COUNTRIES.get((country or "").upper())
    return Viewer(*middle) if middle else None


def distance_km(viewer: Viewer, region: str) -> float | None:
    """Great-circle kilometres from the viewer to the region, by the haversine formula; None for an unknown region."""
    where = geography.REGIONS.get(region)
    if where is None:
        return None
    north, east, to_north, to_east = map(radians, (viewer.latitude, viewer.longitude, *where))
    h = sin((to_north - north) / 2) ** 2 + cos(north) * cos(to_north) * sin((to_east - east) / 2) ** 2
    return 2 * 6371 * asin(sqrt(h))


def nearest_first(places: Iterable[Place], viewer: Viewer | None) -> Sequence[Place]:
    """The places ordered by distance from the viewer; the given order (primary first) when nothing is known of the
    viewer, and for places whose region has no coordinates, which come last."""
    if viewer is None:
        return list(places)

    def kilometres(place: Place) -> float:
        distance = distance_km(viewer, place.region)
        return float("inf") if distance is None else distance

    return sorted(places, key=kilometres)
