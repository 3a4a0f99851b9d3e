"""Taking it down, all of it or one region that the settings no longer have. Nothing goes that has objects."""

from collections.abc import Sequence
from dataclasses import dataclass

from deploy import DeployFailed
from deploy.page_files import empty
from deploy.parameters import StackId, application_stack, bucket_stack, page_stack, watch_stack
from deploy.planning import STILLBORN, Stack
from deploy.preconditions import delete_secret, delete_table, former_regions
from deploy.running import Run, named
from deploy.steps import steps

MAX_COUNTED = 100_000
_HINT = (
    " (an access point that was left behind holds its buckets: "
    "aws s3control list-multi-region-access-points --region us-west-2 --account-id <account>)"
)


@dataclass(frozen=True)
class Destruction:
    """A run's way back. A killed one is just run again: what is left is read from the stacks."""

    run: Run

    def refuse_objects(self) -> None:
        """Raises DeployFailed while there is an object, or an old version of one, in a bucket that would go."""
        self._refuse_objects([(each.bucket, each.region) for each in self.run.settings.regions if not each.adopt])

    def whole(self) -> list[str]:
        """Every stack, backwards. Returns what is left in words; a stack that fails keeps only those that it needs."""
        self.refuse_objects()
        # A stack is needed from its first step on; what only shrinks it comes before those that it needs itself.
        order = [step for step in steps(self.run.settings) if not step.shrinks]
        first = {step.stack: step for step in reversed(order)}
        left, kept = list[str](), set[str]()
        for step in sorted(first.values(), key=order.index, reverse=True):
            if needing := [each.key for each in order if step.key in each.needs and each.key in kept]:
                kept.add(step.key)
                left.append(f"{named(step.stack)} is kept: {', '.join(needing)} needs it")
            elif why := self._gone(step.stack):
                kept.add(step.key)
                left.append(why)
        return left

    def refuse_region(self, region: str) -> None:
        """Raises DeployFailed unless nothing needs what is in the region, and its bucket is empty."""
        run, settings = self.run, self.run.settings
        if region in [each.region for each in settings.regions]:
            raise DeployFailed(
                f"{region} is in the settings: the others' rules and the table need it. "
                "Take it out, `make deploy`, then destroy it."
            )
        primary = run.settled(application_stack(settings, settings.primary.region))
        if region in former_regions(primary):
            raise DeployFailed(f"{region} is out of the settings, but not yet out of what is deployed: `make deploy`.")
        there = run.settled(application_stack(settings, region))
        if there and there.parameters.get("BucketRegion") == region:
            raise DeployFailed(
                f"{region} is the primary of what is deployed: put its settings back, and destroy the whole."
            )
        self._refuse_objects([(bucket, region) for bucket in _made(run.settled(bucket_stack(settings, region)))])

    def of_region(self, region: str) -> list[str]:
        """The stacks of one region that the settings no longer have, and its bucket. Returns what is left in words."""
        self.refuse_region(region)
        settings = self.run.settings
        for stack in (watch_stack, application_stack, bucket_stack):
            if why := self._gone(stack(settings, region)):
                return [why]
        return []

    def kept(self) -> list[str]:
        """What data a destruction of the whole leaves, and the commands that delete it."""
        settings, cloud = self.run.settings, self.run.cloud
        name, primary, *others = settings.name, *(each.region for each in settings.regions)
        found, told = [each for each in (*others, primary) if cloud.table(f"{name}-catalog", each)], list[str]()
        if found:
            told.append(f"the table {name}-catalog stays, with its data. To delete it, in this order:")
            told += [f"  {delete_table(name, each)}" for each in found]
        if cloud.secret(f"{name}-gateway", primary):
            told.append(f"the secret {name}-gateway stays: its clients' keys come from it. To delete it:")
            if others:
                told.append(
                    f"  aws secretsmanager remove-regions-from-replication --region {primary} "
                    f"--secret-id {name}-gateway --remove-replica-regions {' '.join(others)}"
                )
            told.append(f"  {delete_secret(name, primary)}")
        return [*told, *(f"{each.bucket} was adopted and is untouched" for each in settings.regions if each.adopt)]

    def _refuse_objects(self, buckets: Sequence[tuple[str, str]]) -> None:
        counted = {bucket: self.run.cloud.count(bucket, region) for bucket, region in buckets}
        if found := {bucket: count for bucket, count in counted.items() if count}:
            told = "; ".join(
                f"{bucket} has {count if count < MAX_COUNTED else f'{MAX_COUNTED} or more'}"
                for bucket, count in found.items()
            )
            raise DeployFailed(
                f"not destroyed: there are objects (old versions and delete markers count): {told}. "
                "Empty the buckets first."
            )

    def _gone(self, stack: StackId) -> str:
        """Empty when it is; else why not. A bucket goes before its stack, which keeps it: so a stack that is still
        there tells a run after a killed one what is left."""
        run = self.run
        there = run.settled(stack)
        if there is None:
            run.say(f"{named(stack)}: not there")
            return ""
        if stack == bucket_stack(run.settings, stack[1]):
            for bucket in _made(there):
                if why := run.cloud.delete_bucket(bucket, stack[1]):
                    return f"{named(stack)} is kept: its bucket {bucket} cannot be deleted: {why}{_HINT}"
                run.say(f"{bucket}: gone")
        if stack == page_stack(run.settings) and (files := there.outputs.get("PageBucket")):
            run.say(f"{files}: {empty(run.cloud, files, stack[1])} files of the page taken away")
        run.say(f"{named(stack)}: deleting")
        run.cloud.delete(stack)
        there = run.settled(stack)
        if there is None:
            run.say(f"{named(stack)}: gone")
            return ""
        return "\n".join((f"{named(stack)} is {there.status}: {there.reason}", *run.cloud.failures(stack)))


def _made(stack: Stack | None) -> list[str]:
    """The bucket that a stack made; none when it was adopted, or never came to be."""
    if stack is None or stack.parameters.get("Adopted") == "true" or stack.status in STILLBORN - {"DELETE_FAILED"}:
        return []
    return [stack.parameters["Bucket"]] if "Bucket" in stack.parameters else []
