"""`nearside.Presigner`, as people's own code uses it, against the world."""

import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from local.world import World
from nearside import Presigner
from nearside.adapters.http import Fetcher
from nearside.errors import BadRequest, BadSettings, Missing
from nearside.items import Failed, Presigned
from nearside.places import Place
from nearside.signing import Credentials

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about


@pytest.fixture
def presigner(world: World) -> Presigner:
    keys = Credentials(world.credentials.access_key_id, world.credentials.secret_access_key)
    return Presigner(
        bucket=world.buckets["eu-west-2"],
        region="eu-west-2",
        endpoint=world.place_urls["eu-west-2"],
        replicas=[Place("us-east-2", world.buckets["us-east-2"], world.place_urls["us-east-2"])],
        mrap_alias=world.mrap_alias,
        mrap_endpoint=world.mrap_url,
        credentials=lambda: keys,
    )


def test_a_download_url_serves_the_object_from_both_sides(world: World, presigner: Presigner) -> None:
    url = presigner.download_url("images/harbour.png")
    for location, region in (("eu", "eu-west-2"), ("us", "us-east-2")):
        status, headers, body = Fetcher()("GET", url, {"x-world-location": location})
        assert (status, headers["x-world-region"], body[:4]) == (200, region, b"\x89PNG")


def test_an_upload_url_binds_what_was_asked(world: World, presigner: Presigner) -> None:
    key = f"client/{uuid.uuid4()}"
    asked = presigner.presign(key, "PUT", content_type="text/plain", content_length=5, if_none_match="*")
    assert asked.headers == {"content-length": "5", "content-type": "text/plain", "if-none-match": "*"}
    assert Fetcher()("PUT", asked.url, {**asked.headers, "content-type": "text/html"}, b"hello")[0] == 403
    assert Fetcher()("PUT", asked.url, asked.headers, b"hello")[0] == 200
    assert Fetcher()("PUT", asked.url, asked.headers, b"hello")[0] == 412, "if-none-match let it overwrite"
    world.settle()
    assert Fetcher()("GET", presigner.download_url(key), {"x-world-location": "us"})[2] == b"hello"


def test_a_batch_answers_in_order_and_a_bad_item_stands_alone(presigner: Presigner) -> None:
    answers = presigner.batch(
        ["images/harbour.png", {"key": "nope"}, {"key": "a", "expires_in": 0}, "images/sunrise.png"]
    )
    assert [type(answer) for answer in answers] == [Presigned, Failed, Failed, Presigned]
    assert [answer.status for answer in answers if isinstance(answer, Failed)] == [404, 400]
    assert isinstance(answers[2], Failed)
    assert answers[2].message == "expires_in is 0: expected `int` >= 1"


def test_missing_is_an_error_of_ours(presigner: Presigner) -> None:
    with pytest.raises(Missing, match="'nope' is not in eu-west-2, us-east-2"):
        presigner.download_url("nope")
    assert presigner.download_url("nope", check=False).startswith("http")


def test_it_stands_in_for_boto3s_generate_presigned_url(world: World, presigner: Presigner) -> None:
    params = {"Bucket": world.buckets["eu-west-2"], "Key": "images/harbour.png", "ResponseContentType": "text/x-mine"}
    url = presigner.generate_presigned_url("get_object", Params=params, ExpiresIn=60)
    query = parse_qs(urlsplit(url).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-ECDSA-P256-SHA256"]
    assert query["X-Amz-Expires"] == ["60"]
    status, headers, _ = Fetcher()("GET", url, {})
    assert (status, headers["content-type"]) == (200, "text/x-mine")


@pytest.mark.parametrize(
    "bucket", ["nearside-us-east-2", "arn:aws:s3::123456789012:accesspoint/nearsidelocal.mrap", None]
)
def test_the_bucket_may_be_any_of_ours_or_absent(presigner: Presigner, bucket: str | None) -> None:
    params = {"Key": "a"} | ({"Bucket": bucket} if bucket else {})
    assert "/a?" in presigner.generate_presigned_url("get_object", params)


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("list_objects_v2", {"Key": "a"}, "ClientMethod is 'list_objects_v2': expected one of get_object"),
        ("get_object", {"Key": "a", "Range": "bytes=0-1"}, "Params has Range"),
        ("get_object", {"Key": "a", "Bucket": "stranger"}, "Bucket is 'stranger': expected one of nearside-eu-west-2"),
        ("get_object", {"Key": "a", "ContentType": "text/plain"}, "content_type goes with PUT only"),
        ("get_object", {}, "key"),
    ],
)
def test_what_cannot_be_signed_is_refused_not_dropped(
    presigner: Presigner, method: str, params: dict[str, str], words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        presigner.generate_presigned_url(method, params)


def test_parts_of_a_multipart_upload_are_signed_one_by_one(world: World, presigner: Presigner, eu: "S3Client") -> None:
    key = f"client/{uuid.uuid4()}"
    upload = eu.create_multipart_upload(Bucket=world.buckets["eu-west-2"], Key=key)["UploadId"]
    url = presigner.generate_presigned_url("upload_part", {"Key": key, "UploadId": upload, "PartNumber": 1})
    answer = urllib3.request("PUT", url, body=b"part one")
    assert answer.status == 200
    eu.complete_multipart_upload(
        Bucket=world.buckets["eu-west-2"],
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": answer.headers["etag"]}]},
    )
    assert Fetcher()("GET", presigner.download_url(key), {})[2] == b"part one"


def test_names_that_cannot_be_are_refused_at_once() -> None:
    with pytest.raises(BadSettings, match="BUCKET is 'No Bucket'"):
        Presigner(bucket="No Bucket", region="eu-west-2", credentials=lambda: Credentials("a", "b"))
