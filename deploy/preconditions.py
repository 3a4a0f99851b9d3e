"""What must be so before a run: nothing in the way of what is made, and no change that the stacks cannot follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from deploy import DeployFailed
from deploy.parameters import StackId, application_stack, bucket_stack
from deploy.planning import STILLBORN, Stack, is_moving
from deploy.settings import Region, Settings

type Stacks = Mapping[StackId, Stack | None]


class Looks(Protocol):
    """Who knows what there is besides stacks."""

    def versioning(self, bucket: str, region: str) -> str | None: ...
    def bucket(self, bucket: str, region: str) -> str: ...
    def table(self, name: str, region: str) -> bool: ...
    def secret(self, name: str, region: str) -> bool: ...


@dataclass(frozen=True)
class Preconditions:
    """All are looked at before the first step, and those of a stack again right before it is made or changed."""

    settings: Settings
    cloud: Looks

    def notices(self, there: Stacks) -> list[str]:
        """What people should know of the run. Raises DeployFailed when it must not begin."""
        for each in self.settings.regions:
            if each.adopt and self.cloud.versioning(each.bucket, each.region) is None:
                raise DeployFailed(f"{each.bucket} in {each.region} is to be adopted, and is not there")
        self._check_primary(there)
        for stack, found in there.items():
            self.check(stack, found)
        return [*self._unversioned(), *self._left_regions(there)]

    def check(self, stack: StackId, there: Stack | None) -> None:
        """Right before the stack is made or changed. What moves or never came to be is looked at when it is settled."""
        if there is not None and (is_moving(there) or there.status in STILLBORN):
            return
        for each in self.settings.regions:
            if stack == bucket_stack(self.settings, each.region):
                self._check_bucket(each, there)
        if stack == self._primary:
            self._check_regions(there)
            self._check_table(there)
            self._check_secret(there)

    def _check_bucket(self, region: Region, there: Stack | None) -> None:
        """A stack's bucket stays what it is: CloudFormation would leave it and make another one."""
        if there is None:
            if not region.adopt and (found := self.cloud.bucket(region.bucket, region.region)):
                raise DeployFailed(
                    f"{region.bucket} in {region.region} cannot be made: {found}. Say `adopt = true` for it when it is "
                    "yours and is to be used, or choose another name, or delete it: "
                    f"aws s3api delete-bucket --bucket {region.bucket} --region {region.region}"
                )
            return
        name, adopted = there.parameters.get("Bucket", region.bucket), there.parameters.get("Adopted") == "true"
        if (name, adopted) != (region.bucket, region.adopt):
            raise DeployFailed(
                f"the bucket of {region.region} is {name}{' (adopted)' * adopted}, and the settings say "
                f"{region.bucket}{' (adopted)' * region.adopt}. A region keeps its bucket. For another one take the "
                "region out of the settings, deploy, destroy that region, put it in again and deploy."
            )
        if not adopted and self.cloud.versioning(name, region.region) is None:
            raise DeployFailed(
                f"{name} in {region.region} is gone, and its stack is there. Was a destruction stopped? "
                "`make destroy` goes on with it."
            )

    def _check_table(self, there: Stack | None) -> None:
        table = f"{self.settings.name}-catalog"
        known = {self.settings.primary.region, *former_regions(there)} if there else set()
        for region in [each.region for each in self.settings.regions]:
            if region not in known and self.cloud.table(table, region):
                raise DeployFailed(
                    f"the table {table} in {region} is there, but in no stack of this deployment: an earlier one left "
                    "it, with its data. Take another `name`, or bring it into the stack (CloudFormation's import of "
                    "resources), or delete it, in the other regions first: " + delete_table(self.settings.name, region)
                )

    def _check_secret(self, there: Stack | None) -> None:
        name, primary = self.settings.name, self.settings.primary.region
        had = there is not None and there.parameters.get("Backends", "")
        if self.settings.gateway and not had and self.cloud.secret(f"{name}-gateway", primary):
            raise DeployFailed(
                f"the secret {name}-gateway in {primary} is there, but in no stack of this deployment: an earlier "
                "gateway left it, and its clients' keys come from it. Bring it into the stack (CloudFormation's import "
                f"of resources), or take another `name`, or delete it: {delete_secret(name, primary)}"
            )

    def _check_regions(self, there: Stack | None) -> None:
        changed = {*former_regions(there)} ^ {each.region for each in self.settings.regions[1:]}
        if there is not None and len(changed) > 1:
            raise DeployFailed(
                f"{', '.join(sorted(changed))} came or went. CloudFormation adds or takes away one region of the table "
                "in one update: change the settings by one region, deploy, then the next."
            )

    def check_versioned(self) -> None:
        """Before the first rules: S3 takes none to a bucket that is not versioned. Raises DeployFailed."""
        for each in self.settings.regions:
            if each.adopt and self.cloud.versioning(each.bucket, each.region) != "Enabled":
                raise DeployFailed(
                    f"{each.bucket} in {each.region} is adopted, and is not versioned: no rule can lead to it. "
                    "All before the rules is done. Type `make adopt APPLY=1`, then the same command again."
                )

    @property
    def _primary(self) -> StackId:
        return application_stack(self.settings, self.settings.primary.region)

    def _check_primary(self, there: Stacks) -> None:
        primary = self.settings.primary.region
        for each in self.settings.regions:
            stack = there.get(application_stack(self.settings, each.region))
            if stack is None or stack.status in STILLBORN:
                continue
            was = stack.parameters.get("BucketRegion", primary)
            if was != primary:
                raise DeployFailed(
                    f"the first region of the settings is {primary}; what is deployed has {was}, where the table, the "
                    f"access point's stack and the monitor are. The primary cannot be moved: put {was} first."
                )

    def _unversioned(self) -> list[str]:
        return [
            f"{each.bucket} in {each.region} is adopted, and not versioned yet: `make adopt APPLY=1`"
            for each in self.settings.regions
            if each.adopt and self.cloud.versioning(each.bucket, each.region) != "Enabled"
        ]

    def _left_regions(self, there: Stacks) -> list[str]:
        now = [each.region for each in self.settings.regions]
        return [
            f"{region} is no longer in the settings. The table leaves it with this deployment; its stacks and its "
            f"bucket stay there and cost on. Afterwards: make destroy REGION={region}"
            for region in former_regions(there.get(self._primary))
            if region not in now
        ]


def former_regions(primary: Stack | None) -> list[str]:
    """The regions besides the primary, as the primary's application has them: CloudFormation's own record."""
    if primary is None or primary.status in STILLBORN:
        return []
    return [each for each in primary.parameters.get("ReplicaRegion", "").split(",") if each]


def delete_table(name: str, region: str) -> str:
    """The command that deletes the region's replica."""
    return f"aws dynamodb delete-table --region {region} --table-name {name}-catalog"


def delete_secret(name: str, region: str) -> str:
    """The command. Secrets Manager refuses it while the secret has copies in other regions."""
    return f"aws secretsmanager delete-secret --region {region} --secret-id {name}-gateway"
