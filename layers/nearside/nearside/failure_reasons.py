"""Why S3 could not replicate: its failure codes in plain words, each with what to do.

The codes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-metrics-events.html#replication-failure-codes
"""

from collections.abc import Mapping

import msgspec


class Cause(msgspec.Struct, frozen=True):
    """What is wrong, and what mends it."""

    what: str
    fix: str


_THEN = "then repair the object: S3 does not try a failed one again"
_ROLE = "the replication role (it is named in the source bucket's replication configuration)"


def _lacks(permission: str, on: str) -> Cause:
    return Cause(
        f"the replication role lacks {permission} on the {on} bucket", f"grant {permission} to {_ROLE}, {_THEN}"
    )


def _key_state(side: str) -> Cause:
    return Cause(
        f"the KMS key of the {side} bucket is disabled, or pending deletion",
        f"enable the key, or name another, {_THEN}",
    )


_READ = "s3:GetObjectVersionForReplication"
_WRITE = "s3:ReplicateObject"
_DELETED_SINCE = (
    "nothing is to be done if it was deleted on purpose; the failure leaves the list when the monitor looks"
)

CAUSES: Mapping[str, Cause] = {
    "AssumeRoleNotPermitted": Cause(
        "S3 may not assume the replication role",
        f"let s3.amazonaws.com (a job: batchoperations.s3.amazonaws.com) assume {_ROLE} in its trust policy, {_THEN}",
    ),
    "DstBucketInvalidRegion": Cause(
        "the destination bucket is in another region than the Batch Operations job says",
        "start the job again with the bucket's own region",
    ),
    "DstBucketNotFound": Cause(
        "the destination bucket of the rule does not exist", f"create the bucket, or correct the rule, {_THEN}"
    ),
    "DstBucketObjectLockConfigMissing": Cause(
        "the source bucket has Object Lock and the destination has not", f"enable Object Lock there, {_THEN}"
    ),
    "DstBucketUnversioned": Cause(
        "versioning is not enabled on the destination bucket", f"enable it with PutBucketVersioning, {_THEN}"
    ),
    "DstDelObjNotPermitted": _lacks("s3:ReplicateDelete", "destination"),
    "DstKmsKeyInvalidState": _key_state("destination"),
    "DstKmsKeyNotFound": Cause(
        "the KMS key that the rule names for the destination does not exist", f"name a key that exists, {_THEN}"
    ),
    "DstMultipartCompleteNotPermitted": _lacks(_WRITE, "destination"),
    "DstMultipartInitNotPermitted": _lacks(_WRITE, "destination"),
    "DstMultipartUploadNotPermitted": _lacks(_WRITE, "destination"),
    "DstObjectHardDeleted": Cause(
        "the version was deleted for good at the destination, and Batch Replication does not bring such a one back",
        "if it is wanted there, write the object again",
    ),
    "DstPutAclNotPermitted": _lacks(_WRITE, "destination"),
    "DstPutLegalHoldNotPermitted": _lacks("s3:PutObjectLegalHold", "destination"),
    "DstPutObjectNotPermitted": Cause(
        "the replication role may not write to the destination bucket, or not use its KMS key",
        f"grant {_WRITE} (s3:ObjectOwnerOverrideToBucketOwner across accounts; kms:Decrypt on the source's and "
        f"kms:GenerateDataKey on the destination's key) to {_ROLE}, {_THEN}",
    ),
    "DstPutRetentionNotPermitted": _lacks("s3:PutObjectRetention", "destination"),
    "DstPutTaggingNotPermitted": _lacks(_WRITE, "destination"),
    "DstVersionNotFound": Cause(
        "the version whose metadata changed is not at the destination", "repair the object: it is copied whole"
    ),
    "InitiateReplicationNotPermitted": Cause(
        "the role of the Batch Replication job lacks s3:InitiateReplication", "grant it, and start the job again"
    ),
    "SrcBucketInvalidRegion": Cause(
        "the source bucket is in another region than the Batch Operations job says",
        "start the job again with the bucket's own region",
    ),
    "SrcBucketNotFound": Cause("the source bucket does not exist", "name one that exists in the settings"),
    "SrcBucketReplicationConfigMissing": Cause(
        "the source bucket has no replication configuration", f"put it back with PutBucketReplication, {_THEN}"
    ),
    "SrcGetAclNotPermitted": Cause(
        "the replication role may not read the object's ACL, or the bucket's owner does not own the object",
        f"grant s3:GetObjectVersionAcl to {_ROLE}, set Object Ownership to bucket owner enforced, {_THEN}",
    ),
    "SrcGetLegalHoldNotPermitted": _lacks("s3:GetObjectLegalHold", "source"),
    "SrcGetObjectNotPermitted": _lacks(_READ, "source"),
    "SrcGetRetentionNotPermitted": _lacks("s3:GetObjectRetention", "source"),
    "SrcGetTaggingNotPermitted": _lacks("s3:GetObjectVersionTagging", "source"),
    "SrcHeadObjectNotPermitted": _lacks(_READ, "source"),
    "SrcKeyNotFound": Cause("the object was deleted at its source before it was replicated", _DELETED_SINCE),
    "SrcKmsKeyInvalidState": _key_state("source"),
    "SrcObjectNotEligible": Cause(
        "the object's storage class or tags are not what the rule asks for, or it is encrypted in a way that the rule "
        "does not select (a customer's key, SSE-C; a KMS key without SseKmsEncryptedObjects)",
        f"restore it, tag it, or widen the rule, {_THEN}",
    ),
    "SrcObjectNotFound": Cause("the object was deleted at its source before it was replicated", _DELETED_SINCE),
    "SrcReplicationNotPending": Cause(
        "S3 says that it replicated the object already", "the monitor looks for it there"
    ),
    "SrcVersionNotFound": Cause("the version was deleted at its source before it was replicated", _DELETED_SINCE),
}


def cause(code: str) -> Cause:
    """The cause of S3's failure code; one that is not in the table is said as it is."""
    known = CAUSES.get(code.strip())
    if known:
        return known
    what = f"S3 says {code!r}, which its list of reasons does not have" if code else "S3 gave no reason"
    return Cause(what, "look at the rule, its role and both buckets (GET /replication/health), then repair the object")
