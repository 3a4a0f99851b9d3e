"""The suite, over every place and the gateway: buckets, listings and deleting many."""

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.gateway.endpoints import Endpoint, made_bucket, refusal

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

TREE = ["a", "b/1", "b/2", "b/c/1", "c", "d/1", "e é", "f+g/h"]

each_operation = pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2"])


@pytest.fixture
def own_tree(s3: "S3Client", bucket: str) -> str:
    """A bucket with the keys of TREE."""
    for key in TREE:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


@pytest.fixture(scope="module")
def trees() -> dict[str, str]:
    """By endpoint."""
    return {}


@pytest.fixture
def tree(endpoint: Endpoint, trees: dict[str, str], request: pytest.FixtureRequest) -> str:
    """The same for all tests of an endpoint, which only read it."""
    if endpoint.name not in trees:
        trees[endpoint.name] = request.getfixturevalue("own_tree")
    return trees[endpoint.name]


def keys_of(answer: Any) -> list[str]:
    return [each["Key"] for each in answer.get("Contents", [])]


def prefixes_of(answer: Any) -> list[str]:
    return [each["Prefix"] for each in answer.get("CommonPrefixes", [])]


# What is asked for, the keys and the common prefixes that come.
LISTINGS: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "all": ({}, TREE, []),
    "prefix": ({"Prefix": "b/"}, ["b/1", "b/2", "b/c/1"], []),
    "prefix that is a key": ({"Prefix": "b/c/1"}, ["b/c/1"], []),
    "prefix of nothing": ({"Prefix": "nothing"}, [], []),
    "delimiter": ({"Delimiter": "/"}, ["a", "c", "e é"], ["b/", "d/", "f+g/"]),
    "prefix and delimiter": ({"Prefix": "b/", "Delimiter": "/"}, ["b/1", "b/2"], ["b/c/"]),
    "plus": ({"Prefix": "f+g/", "Delimiter": "/"}, ["f+g/h"], []),
    "unicode": ({"Prefix": "e é"}, ["e é"], []),
}


@each_operation
@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing(s3: "S3Client", tree: str, operation: str, name: str) -> None:
    asked, keys, prefixes = LISTINGS[name]
    answer = getattr(s3, operation)(Bucket=tree, **asked)
    assert (keys_of(answer), prefixes_of(answer)) == (keys, prefixes)
    assert answer["IsTruncated"] is False
    if operation == "list_objects_v2":
        assert answer.get("KeyCount") == len(keys) + len(prefixes)


@each_operation
def test_another_delimiter_than_a_slash(s3: "S3Client", tree: str, operation: str) -> None:
    answer = getattr(s3, operation)(Bucket=tree, Delimiter="/1")
    assert (keys_of(answer), prefixes_of(answer)) == (["a", "b/2", "c", "e é", "f+g/h"], ["b/1", "b/c/1", "d/1"])


def test_a_prefix_may_end_within_a_name(s3: "S3Client", own_tree: str) -> None:
    s3.put_object(Bucket=own_tree, Key="bb", Body=b"1")
    answer = s3.list_objects_v2(Bucket=own_tree, Prefix="b", Delimiter="/")
    assert (keys_of(answer), prefixes_of(answer)) == (["bb"], ["b/"])


def test_a_listing_tells_of_each_object(s3: "S3Client", tree: str) -> None:
    head = s3.head_object(Bucket=tree, Key="b/c/1")
    for answer in (s3.list_objects_v2(Bucket=tree, Prefix="b/c/"), s3.list_objects(Bucket=tree, Prefix="b/c/")):
        [listed] = answer["Contents"]
        assert (listed["Size"], listed["ETag"]) == (5, head["ETag"])
        assert listed["LastModified"].replace(microsecond=0) == head["LastModified"]
        assert listed["StorageClass"] == "STANDARD"


@each_operation
@pytest.mark.parametrize("name", ["all", "delimiter", "prefix"])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_put_together_are_the_whole(s3: "S3Client", tree: str, operation: Any, name: str, size: int) -> None:
    asked = LISTINGS[name][0]
    whole = getattr(s3, operation)(Bucket=tree, **asked)
    pages = list(s3.get_paginator(operation).paginate(Bucket=tree, PaginationConfig={"PageSize": size}, **asked))
    assert [key for page in pages for key in keys_of(page)] == keys_of(whole)
    assert [prefix for page in pages for prefix in prefixes_of(page)] == prefixes_of(whole)
    assert all(len(keys_of(page)) + len(prefixes_of(page)) <= size for page in pages)
    assert [page["IsTruncated"] for page in pages] == [True] * (len(pages) - 1) + [False]


def test_a_listing_begins_after_a_key(s3: "S3Client", tree: str) -> None:
    assert keys_of(s3.list_objects_v2(Bucket=tree, StartAfter="b/2")) == TREE[3:]
    assert keys_of(s3.list_objects(Bucket=tree, Marker="b/2")) == TREE[3:]
    assert keys_of(s3.list_objects_v2(Bucket=tree, StartAfter="b/2x", Prefix="b/")) == ["b/c/1"]
    assert keys_of(s3.list_objects_v2(Bucket=tree, StartAfter="z")) == []


def test_a_page_of_no_keys(s3: "S3Client", tree: str) -> None:
    answer = s3.list_objects_v2(Bucket=tree, MaxKeys=0)
    assert keys_of(answer) == []
    assert answer["IsTruncated"] is False


def test_keys_come_in_the_order_of_their_bytes(s3: "S3Client", bucket: str) -> None:
    keys = ["\uffee", "\U0001f642", "z", "Z", "a!", "a/b", "a0", "é", "10", "9"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    assert keys_of(s3.list_objects_v2(Bucket=bucket)) == sorted(keys, key=str.encode)
    [first, second] = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 9})
    assert keys_of(first) + keys_of(second) == sorted(keys, key=str.encode)


def test_an_owner_is_told_when_asked_for(s3: "S3Client", tree: str) -> None:
    assert "Owner" not in s3.list_objects_v2(Bucket=tree)["Contents"][0]
    assert s3.list_objects_v2(Bucket=tree, FetchOwner=True)["Contents"][0]["Owner"]["ID"]


def test_a_listing_may_be_encoded(endpoint: Endpoint, tree: str) -> None:
    s3 = endpoint.client()
    answer = s3.list_objects_v2(Bucket=tree, Prefix="f+g/", EncodingType="url")
    assert answer["EncodingType"] == "url"
    assert [each["Key"] for each in answer["Contents"]] == ["f%2Bg/h"]  # boto3 decodes only what it asked for itself


def test_a_bucket_that_is_not_there_cannot_be_listed(s3: "S3Client") -> None:
    for operation in (s3.list_objects, s3.list_objects_v2):
        with pytest.raises(ClientError) as caught:
            operation(Bucket="no-such-bucket-here")
        assert refusal(caught.value) == (404, "NoSuchBucket")


def test_a_token_that_was_not_given_is_refused(s3: "S3Client", tree: str) -> None:
    with pytest.raises(ClientError) as caught:
        s3.list_objects_v2(Bucket=tree, ContinuationToken="made-up")
    assert refusal(caught.value) == (400, "InvalidArgument")


@pytest.mark.needs("delete_objects")
def test_many_are_deleted_at_once(s3: "S3Client", own_tree: str) -> None:
    doomed = ["a", "b/c/1", "e é", "f+g/h", "never"]
    answer = s3.delete_objects(Bucket=own_tree, Delete={"Objects": [{"Key": key} for key in doomed]})
    assert {each["Key"] for each in answer["Deleted"]} == set(doomed)
    assert "Errors" not in answer
    assert keys_of(s3.list_objects_v2(Bucket=own_tree)) == ["b/1", "b/2", "c", "d/1"]
    answer = s3.delete_objects(Bucket=own_tree, Delete={"Objects": [{"Key": "c"}], "Quiet": True})
    assert "Deleted" not in answer
    assert keys_of(s3.list_objects_v2(Bucket=own_tree)) == ["b/1", "b/2", "d/1"]


@pytest.mark.needs("delete_objects")
def test_too_many_are_not_deleted_at_once(s3: "S3Client", own_tree: str) -> None:
    objects: Any = [{"Key": f"{number}"} for number in range(1001)]
    with pytest.raises(ClientError) as caught:
        s3.delete_objects(Bucket=own_tree, Delete={"Objects": objects})
    assert refusal(caught.value) == (400, "MalformedXML")


def test_buckets_come_and_go(endpoint: Endpoint, s3: "S3Client") -> None:
    name = made_bucket(s3, f"suite-{uuid.uuid4().hex[:12]}", endpoint.region)
    assert s3.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert name in [each["Name"] for each in s3.list_buckets()["Buckets"]]
    assert keys_of(s3.list_objects_v2(Bucket=name)) == []
    s3.put_object(Bucket=name, Key="a/b", Body=b"1")
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket=name)
    assert refusal(caught.value) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=name, Key="a/b")
    s3.delete_bucket(Bucket=name)
    with pytest.raises(ClientError) as caught:
        s3.head_bucket(Bucket=name)
    assert refusal(caught.value)[0] == 404
    with pytest.raises(ClientError) as caught:
        s3.delete_bucket(Bucket=name)
    assert refusal(caught.value) == (404, "NoSuchBucket")


def test_a_bucket_is_made_once(endpoint: Endpoint, s3: "S3Client", bucket: str) -> None:
    with pytest.raises(ClientError) as caught:
        made_bucket(s3, bucket, endpoint.region)
    assert refusal(caught.value) == (409, "BucketAlreadyOwnedByYou")


def test_a_bucket_has_a_region(endpoint: Endpoint, s3: "S3Client", bucket: str) -> None:
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] == endpoint.region


def test_a_new_bucket_never_had_versions(s3: "S3Client", bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
