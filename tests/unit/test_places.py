"""Addresses of places, and which is nearest to whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearside import geography
from nearside.places import Mrap, Place, Viewer, distance_km, nearest_first, split_endpoint, viewer_of


@pytest.mark.parametrize(
    ("place", "base"),
    [
        (Place("eu-west-2", "pics"), ("https", "pics.s3.eu-west-2.amazonaws.com", "")),
        (Place("us-east-1", "pics"), ("https", "pics.s3.us-east-1.amazonaws.com", "")),
        (Place("eu-west-2", "pics.example.com"), ("https", "s3.eu-west-2.amazonaws.com", "/pics.example.com")),
        (Place("cn-north-1", "pics"), ("https", "pics.s3.cn-north-1.amazonaws.com.cn", "")),
        (Place("cn-north-1", "p.ics"), ("https", "s3.cn-north-1.amazonaws.com.cn", "/p.ics")),
        (Place("eu-west-2", "pics", "http://127.0.0.1:3001"), ("http", "127.0.0.1:3001", "/pics")),
        (Place("eu-west-2", "pics", "https://h:9000/s3/"), ("https", "h:9000", "/s3/pics")),
        (Place("eu-west-2", "pics", "http://[::1]:9000"), ("http", "[::1]:9000", "/pics")),
    ],
)
def test_a_bucket_is_addressed_where_it_is(place: Place, base: tuple[str, str, str]) -> None:
    assert place.base == base
    assert place.name == place.region


def test_an_mrap_is_addressed_by_its_alias_or_its_emulation() -> None:
    host = "mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"
    assert Mrap("mfzwi23gnjvgw.mrap").base == ("https", host, "")
    assert Mrap("mfzwi23gnjvgw.mrap", "http://127.0.0.1:3003").base == ("http", "127.0.0.1:3003", "")


@pytest.mark.parametrize(
    ("endpoint", "parts"),
    [
        ("https://h", ("https", "h", "")),
        ("https://h/", ("https", "h", "")),
        ("https://h:1/a/b//", ("https", "h:1", "/a/b")),
    ],
)
def test_an_endpoint_is_split(endpoint: str, parts: tuple[str, str, str]) -> None:
    assert split_endpoint(endpoint) == parts


@pytest.mark.parametrize(
    ("country", "latitude", "longitude", "viewer"),
    [
        (None, None, None, None),
        ("", "", "", None),
        ("GB", None, None, Viewer(53, -2)),
        ("gb", None, None, Viewer(53, -2)),
        ("GB", "40.7", "-74.0", Viewer(40.7, -74.0)),
        ("GB", "40.7", None, Viewer(53, -2)),
        ("GB", "91", "0", Viewer(53, -2)),
        ("GB", "0", "181", Viewer(53, -2)),
        ("GB", "nan", "0", Viewer(53, -2)),
        ("GB", "inf", "0", Viewer(53, -2)),
        ("GB", "north", "west", Viewer(53, -2)),
        ("ZZ", None, None, None),
        ("nonsense", "x", "y", None),
        (None, "0", "0", Viewer(0, 0)),
        (None, "-90", "180", Viewer(-90, 180)),
    ],
)
def test_the_viewer_is_who_the_headers_say_or_nobody(
    country: str | None, latitude: str | None, longitude: str | None, viewer: Viewer | None
) -> None:
    assert viewer_of(country, latitude, longitude) == viewer


@given(st.none() | st.text(), st.none() | st.text(), st.none() | st.text())
def test_no_header_breaks_anything(country: str | None, latitude: str | None, longitude: str | None) -> None:
    viewer = viewer_of(country, latitude, longitude)
    assert viewer is None or (-90 <= viewer.latitude <= 90 and -180 <= viewer.longitude <= 180)


def test_distances_are_those_of_the_map() -> None:
    london = Viewer(51.5, -0.1)
    assert distance_km(london, "eu-west-2") == pytest.approx(0, abs=20)
    assert distance_km(london, "us-east-1") == pytest.approx(5_900, abs=100)  # London to Washington
    assert distance_km(Viewer(-36.8, 179.9), "ap-southeast-6") == pytest.approx(455, abs=100)
    assert distance_km(Viewer(0, -179), "us-west-2") == distance_km(Viewer(0, 181 - 360), "us-west-2")
    assert distance_km(london, "wasabi-1") is None


def test_over_the_date_line_is_near() -> None:
    east, west = (
        distance_km(Viewer(-36.8, 179.5), "ap-southeast-6"),
        distance_km(Viewer(-36.8, -179.5), "ap-southeast-6"),
    )
    assert east is not None
    assert west is not None
    assert abs(west - east) < 100


@pytest.mark.parametrize(
    ("viewer", "order"),
    [
        (None, ["eu-west-2", "us-east-2", "elsewhere", "ap-northeast-1"]),
        (Viewer(51, 0), ["eu-west-2", "us-east-2", "ap-northeast-1", "elsewhere"]),
        (Viewer(41, -87), ["us-east-2", "eu-west-2", "ap-northeast-1", "elsewhere"]),
        (Viewer(36, 140), ["ap-northeast-1", "eu-west-2", "us-east-2", "elsewhere"]),
    ],
)
def test_the_nearest_comes_first_and_the_unknown_last(viewer: Viewer | None, order: list[str]) -> None:
    places = [Place(region, "b") for region in ("eu-west-2", "us-east-2", "elsewhere", "ap-northeast-1")]
    assert [place.name for place in nearest_first(places, viewer)] == order


def test_of_two_unknown_places_the_primary_comes_first() -> None:
    places = [Place("minio", "b"), Place("another", "b")]
    assert list(nearest_first(places, Viewer(0, 0))) == places


def test_every_coordinate_is_on_the_globe() -> None:
    for north, east in [*geography.REGIONS.values(), *geography.COUNTRIES.values()]:
        assert -90 <= north <= 90
        assert -180 <= east <= 180


def test_countries_are_two_capital_letters() -> None:
    assert all(len(code) == 2 and code.isalpha() and code.isupper() for code in geography.COUNTRIES)
    assert len(geography.COUNTRIES) > 240
