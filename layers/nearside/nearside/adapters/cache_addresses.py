"""Where S3 has a bucket, an access point or a Multi-Region Access Point, and whose account a key pair is of."""

import base64
import binascii
import re
from functools import lru_cache

import msgspec

from nearside.caching.errors import BadUri
from nearside.places import Mrap, Place, split_endpoint
from nearside.signing import Address
from nearside.uri import Remote, S3Object

DEFAULT_REGION = "us-east-1"
_ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):(?P<service>[^:]*):(?P<region>[^:]*):(?P<account>[^:]*):(?P<what>.+)")
_ACCESS_POINT = re.compile(r"accesspoint[:/](?P<name>[^:/]+)")
# https://docs.aws.amazon.com/general/latest/gr/s3.html; anybody's load balancer is under amazonaws.com too.
_S3_OF_AWS = re.compile(
    r"(?:bucket\.vpce-[a-z0-9-]+\.)?s3(?:-fips|-accelerate|-external-1)?(?:\.dualstack)?"
    r"(?:[.-](?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d+))?(?:\.vpce)?\.amazonaws\.com(?P<china>\.cn)?"
)
_PARTITIONS = re.compile(r"(cn|us-gov|us-iso[a-z]?|eu-iso[a-z]?|eusc)-")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")  # the first buckets of us-east-1 had longer names and _


class Addressed(msgspec.Struct, frozen=True):
    """Where a bucket is asked: its base, the region to sign for, and whether SigV4A is wanted, as an MRAP does.
    `moves` is whether it may turn out to be in another region."""

    base: Address
    region: str
    mrap: bool = False
    moves: bool = False


def addressed(remote: S3Object, region: str, endpoint: str = "", mrap_endpoint: str = "") -> Addressed:
    """Where `remote` is asked for: at `endpoint`, or at AWS when that is empty. Raises BadUri for what cannot be read.

    An ARN's own region wins over `region`
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-points-naming.html).
    """
    if not remote.key:
        raise BadUri(f"{remote} names no object: the key is empty")
    if remote.bucket.startswith("arn:"):
        return _of_arn(remote, endpoint, mrap_endpoint)
    if not _BUCKET.fullmatch(remote.bucket):
        raise BadUri(f"{remote.bucket!r} cannot be a bucket's name")
    if remote.bucket.endswith(".mrap") and not endpoint:  # no bucket may be called so
        return Addressed(Mrap(remote.bucket, mrap_endpoint).base, "*", mrap=True)
    if remote.bucket.endswith("--x-s3") and not endpoint:
        raise BadUri(f"{remote.bucket} is a directory bucket: it is read by a client of yours only (s3_client=)")
    region = region or DEFAULT_REGION
    return Addressed(bucket_base(remote.bucket, remote.key, region, endpoint), region, moves=True)


def bucket_base(bucket: str, key: str, region: str, endpoint: str) -> Address:
    """Scheme, host and path prefix of a bucket: path style where its name or the key do not fit a host of its own."""
    if not endpoint and (key.startswith("/") or "_" in bucket or bucket != bucket.lower()):
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        return "https", f"s3.{region}.{suffix}", f"/{bucket}"
    return Place(region, bucket, endpoint).base


def _of_arn(remote: S3Object, endpoint: str, mrap_endpoint: str) -> Addressed:
    arn = _ARN.fullmatch(remote.bucket)
    point = _ACCESS_POINT.fullmatch(arn["what"]) if arn else None
    if arn is None or point is None or arn["service"] != "s3" or not re.fullmatch(r"\d{12}", arn["account"]):
        raise BadUri(f"{remote.bucket} is no ARN of an access point of S3: only those are read, and buckets by name")
    name = point["name"]
    if not arn["region"]:
        alias = name.removesuffix(".mrap")
        if not _NAME.fullmatch(alias):
            raise BadUri(f"{remote.bucket} names no region, and no Multi-Region Access Point's alias either")
        return Addressed(Mrap(f"{alias}.mrap", mrap_endpoint).base, "*", mrap=True)
    if not (_NAME.fullmatch(name) and _NAME.fullmatch(arn["region"])):
        raise BadUri(f"{remote.bucket} is no ARN of an access point: its name or its region cannot be one")
    host = f"{name}-{arn['account']}"
    if endpoint:
        scheme, where, prefix = split_endpoint(endpoint)
        return Addressed((scheme, f"{host}.{where}", prefix), arn["region"])
    suffix = "amazonaws.com.cn" if arn["partition"] == "aws-cn" else "amazonaws.com"
    return Addressed(("https", f"{host}.s3-accesspoint.{arn['region']}.{suffix}", ""), arn["region"])


def endpoint_name(endpoint: str, region: str = "") -> str:
    """What an entry's identity calls an endpoint: `aws` for AWS itself, `aws-cn`, `aws-us-gov` and so on for its other
    partitions, each with bucket names of its own, else the endpoint's host and path. `region` says it without one."""
    if not endpoint:
        return _partition(region)
    _, host, path = split_endpoint(endpoint)
    host = host.rpartition("@")[2].lower()
    own = _S3_OF_AWS.fullmatch(re.sub(r":(80|443)$", "", host))
    if own is None or path:
        return host + path if host else endpoint
    return "aws-cn" if own["china"] else _partition(own["region"] or "")


def _partition(region: str) -> str:
    found = _PARTITIONS.match(region)
    return f"aws-{found[1]}" if found else "aws"


def of_s3(remote: Remote) -> S3Object:
    """The same. Raises BadUri for a web address, whose URL may hold secrets."""
    if not isinstance(remote, S3Object):
        raise BadUri("a web address is no object of S3")
    return remote


def shown(remote: Remote) -> str:
    """The URI as it may be kept and said: its scheme in small letters. Raises BadUri for what is no object of S3."""
    wanted = of_s3(remote)
    return f"s3://{wanted.bucket}/{wanted.key}"


@lru_cache(maxsize=64)
def account_of(access_key_id: str) -> str:
    """The 12 digits of the account that an access key id of AWS belongs to, so that all sessions of an account are the
    same; the id itself when it says no account, as those from before 2019 and other providers' do.

    The derivation is not documented by AWS, but known
    (https://medium.com/@TalBeerySec/a-short-note-on-aws-key-id-f88cc4317489): 16 characters of base32 after the prefix,
    whose first 40 bits after the leading one, which is set in the newer ids, are the account.
    """
    if len(access_key_id) != 20 or access_key_id[:4] not in ("AKIA", "ASIA"):
        return access_key_id
    try:
        number = int.from_bytes(base64.b32decode(access_key_id[4:])[:6])
    except binascii.Error:
        return access_key_id
    account = number >> 7 & (1 << 40) - 1
    return f"{account:012d}" if number >> 47 and 0 < account < 10**12 else access_key_id
