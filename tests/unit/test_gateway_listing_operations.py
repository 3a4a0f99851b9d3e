"""Buckets and their listings, as boto3 asks for them and understands the answers."""

from typing import TYPE_CHECKING, Any

import pytest
from botocore.handlers import set_list_objects_encoding_type_url
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from nearside.gateway.access_keys import KeyRule
from nearside.gateway.listing_operations import _opened, _sealed
from nearside.gateway.upload_listings import MAX_LISTED
from tests.unit.gateway_front import BUCKET, Gateway, access_key
from tests.unit.test_gateway_operations import headers, refused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

names = st.text(st.sampled_from("ab/%+ é\n&\x01"), min_size=1, max_size=6)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def s3(gateway: Gateway) -> "S3Client":
    return gateway.client()


def filled(s3: "S3Client", *keys: str) -> None:
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"1")


def model(keys: set[str], prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """Keys and common prefixes of a listing."""
    plain, common = [], set()
    for key in keys:
        rest = key.removeprefix(prefix)
        if not key.startswith(prefix):
            continue
        if delimiter and delimiter in rest:
            common.add(prefix + rest[: rest.index(delimiter) + len(delimiter)])
        else:
            plain.append(key)
    return sorted(plain), sorted(common)


@hypothesis_settings(max_examples=40)
@given(
    st.sets(names, max_size=8),
    st.text(st.sampled_from("ab/ "), max_size=2),
    st.sampled_from(["", "/", "a", "b/"]),
    st.sampled_from([1, 2, 3, 1000]),
)
def test_all_pages_together_are_the_bucket(keys: set[str], prefix: str, delimiter: str, size: int) -> None:
    s3 = Gateway().client()
    filled(s3, *keys)
    asked: Any = {"Bucket": BUCKET, "Prefix": prefix, "Delimiter": delimiter, "PaginationConfig": {"PageSize": size}}
    for operation in ("list_objects", "list_objects_v2"):
        paginator: Any = s3.get_paginator(operation)
        pages = list(paginator.paginate(**asked))
        found = [each["Key"] for page in pages for each in page.get("Contents", [])]
        common = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
        assert (found, common) == model(keys, prefix, delimiter)
        for page in pages:
            assert len(page.get("Contents", [])) + len(page.get("CommonPrefixes", [])) <= size


def test_what_a_listing_says(gateway: Gateway, s3: "S3Client") -> None:
    filled(s3, "a/1", "a/2", "b")
    page = s3.list_objects_v2(Bucket=BUCKET, Delimiter="/", FetchOwner=True, StartAfter="Z", MaxKeys=10)
    assert (page["Name"], page["KeyCount"], page["MaxKeys"], page["IsTruncated"]) == (BUCKET, 2, 10, False)
    assert (page["Delimiter"], page["StartAfter"], page["Prefix"]) == ("/", "Z", "")
    assert page["CommonPrefixes"] == [{"Prefix": "a/"}]
    (listed,) = page["Contents"]
    head = s3.head_object(Bucket=BUCKET, Key="b")
    assert (listed["Key"], listed["Size"], listed["StorageClass"]) == ("b", 1, "STANDARD")
    assert (listed["ETag"], listed["LastModified"]) == (head["ETag"], head["LastModified"])
    assert listed["Owner"]["ID"] == "nearside"
    assert "Owner" not in s3.list_objects_v2(Bucket=BUCKET)["Contents"][0]
    assert s3.list_objects(Bucket=BUCKET)["Contents"][0]["Owner"]["ID"] == "nearside"
    assert gateway.last["headers"]["content-type"] == "application/xml"


def test_the_next_page_of_a_listing_begins_where_the_last_one_ended(s3: "S3Client") -> None:
    filled(s3, "a/1", "b", "c", "d")
    first = s3.list_objects(Bucket=BUCKET, Delimiter="/", MaxKeys=1)
    assert (first["IsTruncated"], first["NextMarker"]) == (True, "a/")
    second = s3.list_objects(Bucket=BUCKET, Delimiter="/", Marker="a/", MaxKeys=2)
    assert ([each["Key"] for each in second["Contents"]], second["NextMarker"]) == (["b", "c"], "c")
    v2 = s3.list_objects_v2(Bucket=BUCKET, MaxKeys=2)
    token = v2["NextContinuationToken"]
    rest = s3.list_objects_v2(Bucket=BUCKET, ContinuationToken=token, StartAfter="zzz")
    assert [each["Key"] for each in rest["Contents"]] == ["c", "d"]
    assert (rest["ContinuationToken"], "NextContinuationToken" in rest) == (token, False)


def test_no_keys_are_asked_for(s3: "S3Client") -> None:
    filled(s3, "a")
    for page in (s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0), s3.list_objects(Bucket=BUCKET, MaxKeys=0)):
        assert (page["MaxKeys"], page["IsTruncated"], "Contents" in page) == (0, False, False)
    assert s3.list_objects_v2(Bucket=BUCKET, MaxKeys=5000)["MaxKeys"] == 1000


def test_a_bucket_that_is_empty_and_one_that_is_not_there(s3: "S3Client") -> None:
    assert s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0
    assert refused(lambda: s3.list_objects_v2(Bucket="nowhere"))[:2] == (404, "NoSuchBucket")
    assert refused(lambda: s3.list_objects_v2(Bucket="nowhere", MaxKeys=0))[:2] == (404, "NoSuchBucket")


@pytest.mark.parametrize(
    "query",
    [
        "max-keys=-1", "max-keys=x", "max-keys=99999999999", "list-type=3", "encoding-type=base64",
        "list-type=2&continuation-token=", "list-type=2&continuation-token=%21", "list-type=2&continuation-token=eHk=",
        "uploads&max-uploads=-1", "marker=" + "k" * 1025,
    ],
)  # fmt: skip
def test_what_a_listing_cannot_be_asked_for(gateway: Gateway, query: str) -> None:
    s3 = gateway.client()
    url = s3.generate_presigned_url("list_objects", Params={"Bucket": BUCKET})
    # Presigned anew with the query: botocore would not send such values.
    s3.meta.events.register(
        "before-sign.s3.ListObjects", lambda request, **_: setattr(request, "url", f"{url.partition('?')[0]}?{query}")
    )
    assert refused(lambda: s3.list_objects(Bucket=BUCKET))[:2] == (400, "InvalidArgument")


def test_a_prefix_is_no_longer_than_a_key(s3: "S3Client") -> None:
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="é" * 512)["KeyCount"] == 0
    assert refused(lambda: s3.list_objects_v2(Bucket=BUCKET, Prefix="é" * 513))[:2] == (400, "KeyTooLongError")
    assert refused(lambda: s3.list_multipart_uploads(Bucket=BUCKET, Prefix="k" * 1025))[0] == 400


def test_a_client_may_leave_keys_as_they_are(gateway: Gateway, s3: "S3Client") -> None:
    """Without encoding-type, as curl and older clients ask."""
    filled(s3, "a b&c<d>+é", "x/y")
    s3.meta.events.unregister("before-parameter-build.s3.ListObjectsV2", set_list_objects_encoding_type_url)
    page = s3.list_objects_v2(Bucket=BUCKET, Delimiter="/")
    assert [each["Key"] for each in page["Contents"]] == ["a b&c<d>+é"]
    assert "<Key>a b&amp;c&lt;d&gt;+é</Key>" in gateway.last["body"]
    assert "EncodingType" not in page


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_a_token_gives_back_what_was_put_in(after: str) -> None:
    assert _opened(_sealed(after)) == after


def test_buckets_are_made_listed_and_removed(gateway: Gateway, s3: "S3Client") -> None:
    made = s3.create_bucket(Bucket="fotos", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    assert made["Location"] == "/fotos"
    assert all("fotos" in store.buckets for store in gateway.stores)
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == ["fotos", BUCKET]
    assert s3.head_bucket(Bucket="fotos")["ResponseMetadata"]["HTTPStatusCode"] == 200
    again = refused(lambda: s3.create_bucket(Bucket="fotos"))
    assert again[:2] == (409, "BucketAlreadyOwnedByYou")
    s3.put_object(Bucket="fotos", Key="a")
    assert refused(lambda: s3.delete_bucket(Bucket="fotos"))[:2] == (409, "BucketNotEmpty")
    s3.delete_object(Bucket="fotos", Key="a")
    s3.delete_bucket(Bucket="fotos")
    assert refused(lambda: s3.head_bucket(Bucket="fotos"))[:2] == (404, "404")
    assert refused(lambda: s3.delete_bucket(Bucket="fotos"))[:2] == (404, "NoSuchBucket")


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"CreateBucketConfiguration": {"LocationConstraint": "no region"}}, 400, "InvalidArgument"),
        ({"CreateBucketConfiguration": {"Bucket": {"Type": "Directory"}}}, 501, "NotImplemented"),
        ({"ObjectLockEnabledForBucket": True}, 501, "NotImplemented"),
        ({"ACL": "public-read"}, 501, "NotImplemented"),
        ({"ObjectOwnership": "ObjectWriter"}, 501, "NotImplemented"),
    ],
)
def test_a_bucket_that_cannot_be_made_so(s3: "S3Client", more: dict[str, Any], status: int, code: str) -> None:
    assert refused(lambda: s3.create_bucket(Bucket="fotos", **more))[:2] == (status, code)
    assert [each["Name"] for each in s3.list_buckets()["Buckets"]] == [BUCKET]


def test_what_a_bucket_says_of_itself(s3: "S3Client") -> None:
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)
    assert refused(lambda: s3.get_bucket_versioning(Bucket="nowhere"))[:2] == (404, "NoSuchBucket")
    assert "x-amz-bucket-region" not in headers(s3.head_bucket(Bucket=BUCKET))


def test_buckets_come_in_pages(gateway: Gateway, s3: "S3Client") -> None:
    for name in ("aaa", "bbb", "fotos"):
        s3.create_bucket(Bucket=name)
    pages = list(s3.get_paginator("list_buckets").paginate(PaginationConfig={"PageSize": 3}))
    assert [[each["Name"] for each in page["Buckets"]] for page in pages] == [["aaa", "bbb", "fotos"], [BUCKET]]
    assert [each["Name"] for each in s3.list_buckets(Prefix="f")["Buckets"]] == ["fotos"]
    assert s3.list_buckets(BucketRegion="us-east-1")["Buckets"] != []
    assert s3.list_buckets(BucketRegion="eu-west-2")["Buckets"] == []


def test_a_key_sees_the_buckets_that_it_may_do_something_in(gateway: Gateway, s3: "S3Client") -> None:
    s3.create_bucket(Bucket="fotos")
    theirs = gateway.client(access_key(KeyRule(buckets=["fot*"], actions=["write"], prefixes=["mine/"])))
    assert [each["Name"] for each in theirs.list_buckets()["Buckets"]] == ["fotos"]
    assert theirs.head_bucket(Bucket="fotos")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert refused(lambda: theirs.head_bucket(Bucket=BUCKET))[0] == 403
    assert refused(lambda: theirs.get_bucket_location(Bucket=BUCKET))[:2] == (403, "AccessDenied")
    assert refused(lambda: theirs.create_bucket(Bucket="foto"))[:2] == (403, "AccessDenied")
    assert refused(lambda: theirs.delete_bucket(Bucket="fotos"))[:2] == (403, "AccessDenied")
    assert refused(lambda: theirs.list_objects_v2(Bucket="fotos"))[:2] == (403, "AccessDenied")


def test_who_may_list_a_folder_may_not_list_what_is_around_it(gateway: Gateway, s3: "S3Client") -> None:
    filled(s3, "mine/a", "yours/b")
    mine = gateway.client(access_key(KeyRule(buckets=["*"], actions=["list"], prefixes=["mine/"])))
    assert [each["Key"] for each in mine.list_objects_v2(Bucket=BUCKET, Prefix="mine/")["Contents"]] == ["mine/a"]
    for prefix in ("", "min", "yours/"):
        call = lambda prefix=prefix: mine.list_objects_v2(Bucket=BUCKET, Prefix=prefix)  # noqa: E731 - one of three
        assert refused(call)[:2] == (403, "AccessDenied")
    forged = _sealed("xyz")
    page = mine.list_objects_v2(Bucket=BUCKET, Prefix="mine/", ContinuationToken=forged)
    assert page["KeyCount"] == 0


@hypothesis_settings(max_examples=25)
@given(
    st.lists(names.filter(lambda name: "\x01" not in name), max_size=8),
    st.sampled_from(["", "a"]),
    st.sampled_from(["", "/", "a"]),
    st.sampled_from([1, 2, 1000]),
)
def test_all_pages_of_uploads_together_are_all_of_them(keys: list[str], prefix: str, delimiter: str, size: int) -> None:
    s3 = Gateway().client()
    ids = {s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]: key for key in keys}
    asked: Any = {"Bucket": BUCKET, "Prefix": prefix, "Delimiter": delimiter, "PaginationConfig": {"PageSize": size}}
    pages = list(s3.get_paginator("list_multipart_uploads").paginate(**asked))
    found = [(each["Key"], each["UploadId"]) for page in pages for each in page.get("Uploads", [])]
    common = [each["Prefix"] for page in pages for each in page.get("CommonPrefixes", [])]
    plain, expected = model(set(keys), prefix, delimiter)
    assert found == sorted((key, upload_id) for upload_id, key in ids.items() if key in plain)
    assert common == expected
    assert all(len(page.get("Uploads", [])) + len(page.get("CommonPrefixes", [])) <= size for page in pages)


def test_what_a_listing_of_uploads_says(s3: "S3Client") -> None:
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="a", ChecksumAlgorithm="SHA256")
    page = s3.list_multipart_uploads(Bucket=BUCKET)
    assert (page["Bucket"], page["MaxUploads"], page["IsTruncated"]) == (BUCKET, MAX_LISTED, False)
    (listed,) = page["Uploads"]
    assert (listed["Key"], listed["UploadId"], listed["StorageClass"]) == ("a", upload["UploadId"], "STANDARD")
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ("SHA256", "COMPOSITE")
    assert s3.list_multipart_uploads(Bucket=BUCKET, MaxUploads=0).get("Uploads") is None
    assert refused(lambda: s3.list_multipart_uploads(Bucket="nowhere"))[:2] == (404, "NoSuchBucket")
    after = s3.list_multipart_uploads(Bucket=BUCKET, KeyMarker="a")
    assert "Uploads" not in after
