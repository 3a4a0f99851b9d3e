"""S3 Batch Replication jobs by S3's control plane."""

from collections.abc import Callable
from typing import Any

from nearside.adapters.s3control import Control
from nearside.places import Place
from nearside.signing import Credentials

_OVER = frozenset({"Complete", "Failed", "Cancelled"})


class BatchJobs:
    """Implements `nearside.repair.StartsJobs`. `role_arn` is what the jobs run as; `endpoint` an emulation's address,
    empty for AWS."""

    def __init__(self, credentials: Callable[[], Credentials], role_arn: str, endpoint: str = "") -> None:
        self._control = Control(credentials, endpoint)
        self._role_arn = role_arn

    def start(self, source: Place, token: str) -> str:
        """A job whose manifest S3 makes itself: everything in the bucket that failed, or has no status because it is
        older than the rule (https://docs.aws.amazon.com/AmazonS3/latest/API/API_control_CreateJob.html)."""

        def create(control: Any, account: str) -> str:
            answer = control.create_job(
                AccountId=account,
                ConfirmationRequired=False,
                Operation={"S3ReplicateObject": {}},
                Report={"Enabled": False},
                ClientRequestToken=token,
                Description="Nearside: replicate what failed",
                Priority=10,
                RoleArn=self._role_arn,
                ManifestGenerator={
                    "S3JobManifestGenerator": {
                        "SourceBucket": f"arn:aws:s3:::{source.bucket}",
                        "EnableManifestOutput": False,
                        "Filter": {"EligibleForReplication": True, "ObjectReplicationStatuses": ["FAILED", "NONE"]},
                    }
                },
            )
            return str(answer["JobId"])

        return self._control.ask(source.region, create)

    def is_over(self, source: Place, job: str) -> bool:
        def status(control: Any, account: str) -> str:
            return str(control.describe_job(AccountId=account, JobId=job)["Job"]["Status"])

        return self._control.ask(source.region, status) in _OVER
