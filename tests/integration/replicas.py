"""What a bucket says of an object's replication."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def status(client: "S3Client", bucket: str, key: str) -> str | None:
    """The replication status, or None when there is no object."""
    try:
        return client.head_object(Bucket=bucket, Key=key).get("ReplicationStatus", "")
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        return None
