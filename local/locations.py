"""Where a client pretends to be: a name for a place on the map, and which region is nearest to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt

from nearside.geography import COUNTRIES, REGIONS

# What a newcomer types. A region name stands for its own country, for CloudFront's viewer headers.
_CONTINENTS = {"eu": "DE", "us": "US", "asia": "SG", "uk": "GB"}
_REGION_COUNTRIES = {"eu-west-1": "IE", "eu-west-2": "GB", "eu-west-3": "FR", "eu-central-1": "DE"}
_EARTH_KM = 6371.0


class UnknownLocation(ValueError):
    """A name that is no location; the message says which are."""


@dataclass(frozen=True, slots=True)
class Location:
    """A point in degrees, and the ISO 3166 code of a country there (empty when a region's country is not known)."""

    name: str
    latitude: float
    longitude: float
    country: str


def locate(name: str) -> Location:
    """`eu`, `us`, `asia` or `uk`, an AWS region, or a country's two letters. Raises UnknownLocation."""
    text = name.strip().lower()
    if text in REGIONS:
        return Location(text, *REGIONS[text], _REGION_COUNTRIES.get(text, "US" if text.startswith("us-") else ""))
    country = _CONTINENTS.get(text, text.upper())
    if country not in COUNTRIES:
        names = ", ".join(_CONTINENTS)
        raise UnknownLocation(
            f"{name!r} is no location: use {names}, a region such as us-east-2, or a country such as JP"
        )
    return Location(text, *COUNTRIES[country], country)


def nearest_first(location: Location, regions: Iterable[str]) -> list[str]:
    """The regions by their distance from the location, nearest first."""
    return sorted(regions, key=lambda region: _distance_km(location, *REGIONS[region]))


def _distance_km(location: Location, latitude: float, longitude: float) -> float:
    """Along the great circle, by the haversine formula."""
    north, east, to_north, to_east = map(radians, (location.latitude, location.longitude, latitude, longitude))
    half = sin((to_north - north) / 2) ** 2 + cos(north) * cos(to_north) * sin((to_east - east) / 2) ** 2
    return 2 * _EARTH_KM * asin(sqrt(half))
