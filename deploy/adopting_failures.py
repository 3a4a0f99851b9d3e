"""What AWS's refusals mean while buckets are adopted, and what to do about each."""

from collections.abc import Mapping

# https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
_READS: Mapping[str, str] = {
    "account": "sts:GetCallerIdentity",
    "facts": "s3:ListBucket, s3:GetEncryptionConfiguration, s3:GetBucketRequestPayment, s3:GetBucketVersioning and "
    "s3:GetBucketObjectLockConfiguration",
    "versioning": "s3:GetBucketVersioning",
    "policy": "s3:GetBucketPolicy",
    "cors": "s3:GetBucketCORS",
    "lifecycle": "s3:GetLifecycleConfiguration",
    "notifications": "s3:GetBucketNotification",
    "replication": "s3:GetReplicationConfiguration",
    "record": "s3:GetObject and s3:ListBucket, and kms:Decrypt where a KMS key encrypts the bucket",
}
_WRITES: Mapping[str, str] = {
    "versioning": "s3:PutBucketVersioning",
    "policy": "s3:PutBucketPolicy and s3:DeleteBucketPolicy; S3 also refuses so a public policy where public access is "
    "blocked, whoever asks",
    "cors": "s3:PutBucketCORS",
    "lifecycle": "s3:PutLifecycleConfiguration",
    "notifications": "s3:PutBucketNotification",
    "replication": "s3:PutReplicationConfiguration, and iam:PassRole for the rules' role",
    "record": "s3:PutObject, s3:DeleteObject and s3:ListBucketVersions, and kms:GenerateDataKey where a KMS key "
    "encrypts the bucket",
    "job": "s3:CreateJob, and iam:PassRole for the application's BatchReplicationRole",
}
_CALLED = {
    "facts": "what it is like",
    "record": "the record of its adoption",
    "job": "the Batch Replication job",
}
_REFUSED = {"AccessDenied", "403", "UnauthorizedAccess", "AccessDeniedException"}
# A part of S3's words (they have no code of their own) → what to do.
_WORDS: Mapping[str, str] = {
    "versioning must be 'enabled'": "what was turned on just now takes up to 15 minutes to be known everywhere",
    "must have versioning enabled": "a bucket that the rules copy to is not versioned, or not known everywhere to be: "
    "what was turned on just now takes up to 15 minutes",
    "destination bucket must exist": "a bucket that the rules copy to is not there yet: `make deploy` makes it",
    "unable to validate the following destination": "S3 may not write to a queue, topic or function of the bucket's "
    "notifications. Ours has its policy from `make deploy`; of others' one may be gone: "
    "`aws s3api get-bucket-notification-configuration` names them",
    "invalid principal": "a statement of the bucket policy names somebody who was deleted: take it away first",
    "conditional request conflict": "somebody else changes the bucket just now",
    "conflicting conditional operation": "somebody else changes the bucket just now",
}  # fmt: skip


def explained(bucket: str, part: str, code: str, message: str, *, writes: bool) -> str:
    """AWS's refusal in words; where it has to do with a permission, which one."""
    said = f"{bucket}: {_CALLED.get(part, part)}: AWS refuses it ({code}: {message})"
    if code in _REFUSED:
        return f"{said}. It needs {(_WRITES if writes else _READS)[part]}"
    meant = next((words for words in _WORDS if words in message.lower()), "")
    return f"{said}: {_WORDS[meant]}" if meant else said
