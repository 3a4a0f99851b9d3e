"""The S3 endpoints that the suite is run over, and what each of them cannot do."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from local.identities import Identity
from nearside.gateway.providers import PROVIDERS, Provider

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# What the gateway can: all of it, whatever its places can.
GATEWAY = Provider(
    title="the gateway",
    source="",
    versions=False,
    list_v2=True,
    copy=True,
    multipart=True,
    least_part_bytes=1,
    list_parts=True,
    delete_objects=True,
    conditional_writes=True,
    checksum_headers=True,
    tagging=True,
    any_key=True,
)
FACTS: Mapping[str, Provider] = {
    "moto": PROVIDERS["aws"],
    "rclone": PROVIDERS["rclone"],
    "old-b2": PROVIDERS["b2"],
    "gateway": GATEWAY,
}

# What other providers than AWS ask of boto3: https://github.com/boto/boto3/issues/4392
WHEN_REQUIRED = {"request_checksum_calculation": "when_required", "response_checksum_validation": "when_required"}


@dataclass(frozen=True)
class Endpoint:
    """Where a suite is run: an S3 endpoint, who signs there, and what boto3 is to be told beside."""

    name: str
    url: str
    region: str
    identity: Identity
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def facts(self) -> Provider:
        """What the table says that it can."""
        return FACTS[self.name]

    def client(self, identity: Identity | None = None, **config: Any) -> "S3Client":
        """A boto3 client that tries once."""
        signer = identity or self.identity
        options = {"signature_version": "s3v4", "retries": {"total_max_attempts": 1}, **self.config, **config}
        options["s3"] = {"addressing_style": "path"} | options.get("s3", {})
        s3 = boto3.client(
            "s3",
            region_name=self.region,
            endpoint_url=self.url,
            aws_access_key_id=signer.access_key_id,
            aws_secret_access_key=signer.secret_access_key,
            config=Config(**options),
        )
        if self.facts.checksum_headers is False:
            s3.meta.events.register("before-sign.s3.DeleteObjects", _with_md5)
        return s3


def _with_md5(request: Any, **_: Any) -> None:
    """boto3 insists on a checksum here, and those who know none of its kind take Content-MD5
    (https://github.com/boto/boto3/issues/4392)."""
    for name in [
        name for name in request.headers if name.lower().startswith(("x-amz-checksum-", "x-amz-sdk-checksum"))
    ]:
        del request.headers[name]
    request.headers["Content-MD5"] = base64.b64encode(hashlib.md5(request.body).digest()).decode()


def made_bucket(s3: "S3Client", name: str, region: str) -> str:
    """The bucket, made by this client."""
    configuration: Any = {"LocationConstraint": region}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)
    return name


def refusal(error: ClientError) -> tuple[int, str]:
    """Status and code of an answer that is no success."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
