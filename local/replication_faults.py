"""What can go wrong with replication on command: it fails for good, or it stalls."""

from dataclasses import dataclass

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-failure-codes.html (those of live replication)
FAILURE_REASONS = (
    "AssumeRoleNotPermitted", "DstBucketNotFound", "DstBucketObjectLockConfigMissing", "DstBucketUnversioned",
    "DstDelObjNotPermitted", "DstKmsKeyInvalidState", "DstKmsKeyNotFound", "DstMultipartCompleteNotPermitted",
    "DstMultipartInitNotPermitted", "DstMultipartUploadNotPermitted", "DstPutAclNotPermitted",
    "DstPutLegalHoldNotPermitted", "DstPutObjectNotPermitted", "DstPutRetentionNotPermitted",
    "DstPutTaggingNotPermitted", "DstVersionNotFound", "SrcBucketNotFound", "SrcBucketReplicationConfigMissing",
    "SrcGetAclNotPermitted", "SrcGetLegalHoldNotPermitted", "SrcGetObjectNotPermitted", "SrcGetRetentionNotPermitted",
    "SrcGetTaggingNotPermitted", "SrcHeadObjectNotPermitted", "SrcKeyNotFound", "SrcKmsKeyInvalidState",
    "SrcObjectNotEligible", "SrcObjectNotFound", "SrcVersionNotFound",
)  # fmt: skip
MAX_LAG_SECONDS = 3600.0
DEFAULT_REASON = "DstPutObjectNotPermitted"


@dataclass(frozen=True, slots=True)
class ReplicationFault:
    """Versions whose key begins with `prefix`, on their way to `region` (empty: to any), fail for `reason`; without a
    reason they stall: they wait until the fault is gone."""

    region: str = ""
    prefix: str = ""
    reason: str = ""

    def meets(self, region: str, key: str) -> bool:
        """Whether a version of the key on its way to the region suffers it."""
        return self.region in ("", region) and key.startswith(self.prefix)


class UnknownReason(ValueError):
    """A failure reason that S3 has not; the message lists those it has."""


def checked_reason(reason: str) -> str:
    """The reason. Raises UnknownReason."""
    if reason not in FAILURE_REASONS:
        raise UnknownReason(f"{reason!r} is no failure reason of S3's: {', '.join(FAILURE_REASONS)}")
    return reason
