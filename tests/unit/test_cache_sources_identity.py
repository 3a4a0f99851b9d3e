"""What tells the cache's entries from each other, and what is kept and shown of an address: no secret, ever."""

import os
import subprocess
import sys
from hashlib import sha256

import pytest

from nearside.adapters.cache_addresses import endpoint_name
from nearside.adapters.cache_http import WebAddresses, without_secrets
from nearside.adapters.cache_s3 import S3Places, default_places
from nearside.caching.errors import BadUri
from nearside.errors import NoCredentials
from nearside.places import Place
from nearside.signing import Credentials
from nearside.uri import S3Object, WebAddress


@pytest.mark.parametrize(
    ("endpoint", "name"),
    [
        ("https://s3.amazonaws.com", "aws"),
        ("https://S3.eu-west-2.amazonaws.com:443/", "aws"),
        ("http://s3-us-west-2.amazonaws.com:80", "aws"),
        ("https://s3.dualstack.ap-southeast-2.amazonaws.com", "aws"),
        ("https://s3-fips.us-east-1.amazonaws.com", "aws"),
        ("https://s3-fips.dualstack.us-east-1.amazonaws.com", "aws"),
        ("https://s3-accelerate.amazonaws.com", "aws"),
        ("https://s3-accelerate.dualstack.amazonaws.com", "aws"),
        ("https://bucket.vpce-1a2b3c4d-5e6f-us-east-1a.s3.us-east-1.vpce.amazonaws.com", "aws"),
        ("https://s3.cn-north-1.amazonaws.com.cn", "aws-cn"),
        ("https://s3.us-gov-west-1.amazonaws.com", "aws-us-gov"),
        ("https://s3-fips-us-gov-west-1.amazonaws.com", "aws-us-gov"),
        ("https://minio-123.elb.eu-west-2.amazonaws.com", "minio-123.elb.eu-west-2.amazonaws.com"),
        ("https://s3-minio-123.elb.eu-west-2.amazonaws.com", "s3-minio-123.elb.eu-west-2.amazonaws.com"),
        ("https://s3.eu-west-2.elb.amazonaws.com", "s3.eu-west-2.elb.amazonaws.com"),
        ("http://ec2-3-4-5-6.eu-west-2.compute.amazonaws.com:9000", "ec2-3-4-5-6.eu-west-2.compute.amazonaws.com:9000"),
        ("https://x.execute-api.eu-west-2.amazonaws.com/s3", "x.execute-api.eu-west-2.amazonaws.com/s3"),
        ("https://pics.s3.eu-west-2.amazonaws.com", "pics.s3.eu-west-2.amazonaws.com"),  # keys begin with the bucket
        ("https://s3.eu-west-2.amazonaws.com/pics", "s3.eu-west-2.amazonaws.com/pics"),
        ("https://s3.eu-west-2.amazonaws.com:9000", "s3.eu-west-2.amazonaws.com:9000"),
        ("https://s3xeu-west-2.amazonaws.com", "s3xeu-west-2.amazonaws.com"),
        ("https://me:pass@h:1", "h:1"),
        ("h:9000", "h:9000"),
    ],
)
def test_only_s3_of_aws_is_aws(endpoint: str, name: str) -> None:
    assert endpoint_name(endpoint) == name


@pytest.mark.parametrize(
    ("region", "name"),
    [
        ("", "aws"),
        ("eu-west-2", "aws"),
        ("cn-northwest-1", "aws-cn"),
        ("us-gov-east-1", "aws-us-gov"),
        ("eusc-de-east-1", "aws-eusc"),
        ("us-iso-east-1", "aws-us-iso"),
        ("us-isob-east-1", "aws-us-isob"),
    ],
)
def test_partitions_share_no_buckets(region: str, name: str) -> None:
    one = S3Object("pics", "a")
    assert S3Places(None, region=region).identity(one)[1] == name
    assert S3Places(None, region="us-east-1", places=[Place(region, "pics")]).identity(one)[1] == name
    assert S3Places(None, region=region, endpoint="http://h:1").identity(one)[1] == "h:1"
    assert S3Places(None, region=region).identity(S3Object("mfzwi23gnjvgw.mrap", "a"))[1] == "aws"  # aws has them only


def test_an_account_that_is_given_needs_no_credentials() -> None:
    def none() -> Credentials:
        raise NoCredentials("sign in")

    one = S3Object("pics", "a", "v1")
    found = S3Places(none, region="x")
    assert found.identity(one, "123456789012") == ("s3", "aws", "123456789012", "pics", "a", "v1")
    assert found.identity(one, "") == ("s3", "aws", "", "pics", "a", "v1")
    with pytest.raises(NoCredentials):
        found.identity(one)
    web = WebAddress("https://me@h/a")
    assert WebAddresses().identity(web, "123") == WebAddresses().identity(web)


@pytest.mark.parametrize(
    ("remote", "uri"),
    [
        (S3Object("pics", "a//b?c#d", "v1"), "s3://pics/a//b?c#d"),
        (S3Object("pics", "S3://a", scheme="S3"), "s3://pics/S3://a"),
        (S3Object("arn:aws:s3:us-west-2:123456789012:accesspoint/mine", "a"),
         "s3://arn:aws:s3:us-west-2:123456789012:accesspoint/mine/a"),
    ],
)  # fmt: skip
def test_the_uri_that_is_shown(remote: S3Object, uri: str) -> None:
    assert S3Places(None, region="x", places=[Place("x", "other")]).shown(remote) == uri
    assert default_places(profile="there-is-none").shown(remote) == uri  # and nothing is made for it


def test_a_web_address_is_no_object_of_s3_and_its_secrets_are_not_told() -> None:
    for found in (S3Places(None, region="x"), default_places(anonymous=True)):
        with pytest.raises(BadUri) as caught:
            found.shown(WebAddress("http://me:password@h/a?token=secret"))
        assert "password" not in str(caught.value)
        assert "secret" not in str(caught.value)
    with pytest.raises(BadUri):
        WebAddresses().shown(S3Object("pics", "a"))


def hashed(value: str) -> str:
    return sha256(value.encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    "name",
    [
        "token", "access_token", "Access-Token", "api_key", "apikey", "API-Key", "auth", "sig", "signature",
        "sign", "X-Api-Key", "password", "%74oken", "x-oss-signature", "q-signature", "x-oss-security-token",
    ],
)  # fmt: skip
def test_tokens_are_not_kept_and_not_shared(name: str) -> None:
    urls = [f"https://h/a?x=1&{name}={secret}&y=2" for secret in ("SECRETSECRET", "OTHER%20ONE")]
    found = [tuple(WebAddresses().identity(WebAddress(url))) for url in urls]
    assert (
        {one[1] for one in found} == {WebAddresses().shown(WebAddress(url)) for url in urls} == {"https://h/a?x=1&y=2"}
    )
    assert [one[2].rpartition(":")[2] for one in found] == [hashed("SECRETSECRET"), hashed("OTHER ONE")]


def test_all_tokens_and_users_count() -> None:
    queries = [
        "token=a",
        "key=a",
        "token=a&key=b",
        "token=b&key=a",
        "token=a&token=b",
        "token=b&token=a&key=",
        "token=",
    ]
    urls = [f"https://{user}h/a?{query}" for query in queries for user in ("", "me:pw@", "you@")]
    assert len({tuple(WebAddresses().identity(WebAddress(url))) for url in urls}) == len(urls)
    one, other = WebAddress("https://h/?token=a&auth=b"), WebAddress("https://h/?auth=b&token=a")
    assert WebAddresses().identity(one) == WebAddresses().identity(other)


@pytest.mark.parametrize(
    ("query", "kept", "signer"),
    [
        (("x-oss-signature-version=OSS4-HMAC-SHA256&x-oss-credential=LTAI%2F20261121%2Fcn%2Foss%2Faliyun_v4_request"
         "&x-oss-date=1&x-oss-expires=60&x-oss-security-token=t&x-oss-signature=0123&x-oss-process=image/resize"),
         "?x-oss-process=image/resize", "LTAI"),
        ("OSSAccessKeyId=LTAI&Expires=1&Signature=x%3D&security-token=t", "", "LTAI"),
        (("q-sign-algorithm=sha1&q-ak=AKID&q-sign-time=1;2&q-key-time=1;2&q-header-list=host&q-url-param-list="
         "&q-signature=0123&x-cos-security-token=t&imageMogr2=1"), "?imageMogr2=1", "AKID"),
        ("AccessKeyId=HW&Expires=1&Signature=x", "", "HW"),
        ("Expires=1&Signature=x&Key-Pair-Id=K1", "", ""),
        ("Expires=1&Signature=x", "?Expires=1", f"signature:{hashed('x')}"),
    ],
)  # fmt: skip
def test_signatures_of_other_clouds(query: str, kept: str, signer: str) -> None:
    assert tuple(WebAddresses().identity(WebAddress(f"https://h/a?{query}"))) == ("web", f"https://h/a{kept}", signer)


def test_what_is_no_secret_stays() -> None:
    for query in ("monkey=1", "keys=a", "author=b", "design=c", "tokens=3", "authority=d", "Expires=5", "q-ak=1"):
        assert without_secrets(f"https://h/a?{query}") == f"https://h/a?{query}"


FORKING = """
import os, sys, threading, time
from nearside.adapters.cache_s3 import default_places
from nearside.uri import S3Object
one = S3Object("pics", "a")
places, others = (default_places(anonymous=True, region="eu-west-2") for _ in range(2))
thread = threading.Thread(target=places.identity, args=(one,))
thread.start()
while "botocore" not in sys.modules:  # its import takes a while longer
    time.sleep(0.001)
child = os.fork()
assert places.identity(one)[0] == others.identity(one)[0] == "s3"
if child == 0:
    os._exit(0)
thread.join()
end = time.monotonic() + 20
while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
    time.sleep(0.02)
if not ended[0]:
    os.kill(child, 9)
    sys.exit("the child hangs")
assert ended[1] == 0
grandchild = os.fork()  # and again, when all is made
if grandchild == 0:
    os._exit(0)
assert os.waitpid(grandchild, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork is POSIX")
def test_a_child_forked_while_another_thread_makes_the_first_request() -> None:
    paths = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKING],
        env={"PYTHONPATH": paths, "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
