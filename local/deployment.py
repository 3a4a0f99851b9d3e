"""What stands in for a deployment: the regions, their buckets, and the variables of the functions."""

import json
import os
from collections.abc import Mapping

from moto.s3.models import CorsRule

from local import object_store
from local.identities import WORLD
from local.providers import variables
from local.queues import real_name
from local.replication_rules import put_replication_rule
from local.tables import TABLE_NAME

PRIMARY = "eu-west-2"
REGIONS = (PRIMARY, "us-east-2")
MRAP_NAME = "nearside"
MRAP_ALIAS = "nearsidelocal.mrap"  # AWS makes aliases of 13 letters and digits
MRAP_ARN = f"arn:aws:s3::{object_store.ACCOUNT}:accesspoint/{MRAP_ALIAS}"

# Exactly what a page needs that uploads with a presigned URL and looks at what came of it.
_CORS = CorsRule(
    allowed_origins=["*"],
    allowed_methods=["GET", "HEAD", "PUT", "POST", "DELETE"],
    allowed_headers=["*"],
    expose_headers=[
        *("ETag", "Location", "x-amz-version-id", "x-amz-replication-status", "x-amz-delete-marker"),
        "X-World-Region",
    ],
    max_age_seconds=3000,
)


def bucket_of(region: str) -> str:
    """The name of a region's bucket."""
    return f"nearside-{region}"


def make_buckets(buckets: Mapping[str, str]) -> None:
    """The bucket of each region, versioned, replicated to every other, and the access point over them."""
    for region, bucket in buckets.items():
        object_store.create_bucket(bucket, region).cors = [_CORS]
    for bucket in buckets.values():
        for other in set(buckets.values()) - {bucket}:
            put_replication_rule(bucket, other)
    object_store.create_mrap(MRAP_NAME, MRAP_ALIAS, dict(buckets))


def environment(
    place_urls: Mapping[str, str], mrap_url: str, aws_url: str, provider_urls: Mapping[str, str]
) -> dict[str, str]:
    """The variables of the functions, for a world whose servers are at these addresses."""
    buckets = {region: bucket_of(region) for region in place_urls}
    replicas = [
        {"region": region, "bucket": bucket, "endpoint": place_urls[region]}
        for region, bucket in buckets.items()
        if region != PRIMARY
    ]
    return {
        "BUCKET": buckets[PRIMARY],
        "BUCKET_REGION": PRIMARY,
        "S3_ENDPOINT": place_urls[PRIMARY],
        "REPLICAS": json.dumps(replicas),
        "USE_MRAP": "true",
        "MRAP_ALIAS": MRAP_ALIAS,
        "MRAP_ENDPOINT": mrap_url,
        "AUTH_MODE": "none",
        "ACCESS_POLICY": "[]",
        "SIGNING_ROLE_ARN": "",
        "CURSOR_KEY": "local-world-cursor-key",
        "LISTING_MAX_AGE": "0",
        "S3CONTROL_ENDPOINT": aws_url,
        "TABLE": TABLE_NAME,
        "TABLE_REGIONS": ",".join(REGIONS),
        "DYNAMODB_ENDPOINT": aws_url,
        "CLOUDWATCH_ENDPOINT": aws_url,
        "BATCH_ROLE_ARN": f"arn:aws:iam::{object_store.ACCOUNT}:role/batch-replication",
        "REPLICATES_DELETE_MARKERS": "true",
        "REPLICATED_PREFIXES": '[""]',
        "LAG_TARGET_SECONDS": "900",
        "REPAIR_JOB_OVER": "1000",
        "AWS_REGION": PRIMARY,
        "AWS_ACCESS_KEY_ID": WORLD.access_key_id,
        "AWS_SECRET_ACCESS_KEY": WORLD.secret_access_key,
        "AWS_SESSION_TOKEN": "",
    } | variables(provider_urls, f"{aws_url}/{object_store.ACCOUNT}/{real_name('GatewayQueue')}", aws_url)


def sdk_environment(s3_url: str, aws_url: str, cache: str) -> dict[str, str | None]:
    """For AWS SDKs and the cache in this process, which read these when they first need them: never a real account,
    and never the user's own cache."""
    return {
        "AWS_REGION": PRIMARY,
        "AWS_DEFAULT_REGION": PRIMARY,
        "AWS_ACCESS_KEY_ID": WORLD.access_key_id,
        "AWS_SECRET_ACCESS_KEY": WORLD.secret_access_key,
        "AWS_SESSION_TOKEN": None,
        "AWS_PROFILE": None,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ENDPOINT_URL_S3": s3_url,
        "NEARSIDE_CACHE_DIR": cache,
        "NEARSIDE_CACHE_MAX_BYTES": None,
    }
