"""`make adopt`: what would change in existing buckets, changing it, and going back."""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace

from deploy.adopting import Adopter, Differs, Stopped
from deploy.adopting_policy import Readers
from deploy.adopting_s3 import AwsCalls, Client, account_of
from deploy.adoption_plan import Plan
from deploy.bucket_merging import Wanted
from deploy.bucket_state import CallFailed
from deploy.parameters import EDGE_REGION, PROBE_KEY
from deploy.replication_merging import Destination, Refused, RuleChoices
from deploy.settings import Settings

# A region and the name of an output of its stacks → its value, or nothing.
type Output = Callable[[str, str], str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own."""
    parser.add_argument("--bucket", action="append", default=[], help="only this bucket of the settings' (repeatable)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--apply", action="store_true", help="do what is shown")
    what.add_argument("--undo", action="store_true", help="go back to what was before")
    parser.add_argument("--keep-others", action="store_true", help="with --undo: leave what others changed since")
    parser.add_argument("--role", default="", help="a role of yours for the rules, in place of the stack's")
    parser.add_argument("--keep-role", action="store_true", help="leave the role of the rules that are there")
    choice = argparse.BooleanOptionalAction
    parser.add_argument("--tls-only", action=choice, help="refuse plain HTTP in the bucket policy; else as it is")
    parser.add_argument("--lifecycle", action=choice, help="the settings' lifecycle rules; else as it is")
    parser.add_argument("--batch", action="store_true", help="a Batch Replication job for what is older than the rules")


def run(options: argparse.Namespace, settings: Settings, client: Client, output: Output) -> int:
    """Zero when it is done, or when there is nothing to do; one when it was refused or stopped."""
    adopted = [each.bucket for each in settings.regions if each.adopt]
    if unknown := [each for each in options.bucket if each not in adopted]:
        _say([f"{', '.join(unknown)}: no region of the settings has it with `adopt = true`"])
        return 1
    if not adopted:
        _say(["no region of the settings has `adopt = true`: nothing to do"])
        return 0
    try:
        wanted = wanted_buckets(options, settings, output)
        roles = {each.region: output(each.region, "BatchReplicationRoleArn") for each in wanted if options.batch}
        adopter = Adopter(AwsCalls(client, account_of(client, wanted[0].region)), wanted, roles)
        return _undo(adopter, options) if options.undo else _adopt(adopter, options)
    except (Refused, CallFailed) as error:
        _say(f"refused: {line}" for line in str(error).splitlines())
    except Differs as error:
        _say(["changed since by somebody else; nothing was undone (--keep-others takes only ours away):", str(error)])
    except Stopped as error:
        _say([*(f"done: {each}" for each in error.done), f"stopped: {error}"])
        _say(["nothing else was changed. Mend it and run the same again: it goes on there"])
    return 1


def _undo(adopter: Adopter, options: argparse.Namespace) -> int:
    _say(adopter.undo(keep_others=options.keep_others) or ["nothing to undo"])
    return 0


def _adopt(adopter: Adopter, options: argparse.Namespace) -> int:
    plan: Plan = adopter.apply() if options.apply else adopter.plan()
    _say(plan.lines() or ["nothing to change"])
    if plan.refusals:
        return 1
    if (plan.changes or plan.jobs) and not options.apply:
        _say(["nothing is changed yet: make adopt APPLY=1 (--apply) does it"])
    if plan.waiting:
        _say(["what waits is done by running make adopt APPLY=1 again after make deploy"])
    return 0


def _say(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def wanted_buckets(options: argparse.Namespace, settings: Settings, output: Output) -> list[Wanted]:
    """What each chosen bucket of the settings with `adopt` is to have; all the others are only replicated to."""
    rules, buckets = settings.replication, settings.buckets
    page = _page(settings, output)
    every = Wanted(
        "",
        "",
        rules=RuleChoices(
            time_control=rules.rtc,
            metrics=rules.metrics,
            delete_markers=rules.delete_markers,
            modifications=rules.modifications,
            prefixes=tuple(rules.prefixes),
            keep_role=options.keep_role,
        ),
        tls_only=options.tls_only,
        readers=None if options.undo else _readers(settings, output),
        cors_origins=(*buckets.cors_origins, *[page] * (bool(page) and page not in buckets.cors_origins)),
        awaits_page=settings.page.enabled and not page,
        lifecycle=options.lifecycle,
        old_versions_days=buckets.old_versions_days,
    )
    # Whether an adopted bucket has an object lock is asked of the bucket.
    ends = [
        Destination(
            each.bucket,
            buckets.kms_key.get(each.region, ""),
            object_lock=None if each.adopt else buckets.object_lock_days > 0,
        )
        for each in settings.regions
    ]
    return [
        replace(
            every,
            bucket=each.bucket,
            region=each.region,
            role=options.role or output(each.region, "ReplicationRoleArn"),
            queue=output(each.region, "EventsQueueArn"),
            destinations=tuple(end for end in ends if end.bucket != each.bucket),
        )
        for each in settings.regions
        if each.adopt and (not options.bucket or each.bucket in options.bucket)
    ]


def _page(settings: Settings, output: Output) -> str:
    """The page's origin; empty without one, and until it is there."""
    if not settings.page.enabled:
        return ""
    return f"https://{settings.page.domain}" if settings.page.domain else output(settings.primary.region, "PageOrigin")


def _readers(settings: Settings, output: Output) -> Readers | None:
    """Who reads the buckets for the edge; None without one."""
    if not settings.edge.enabled:
        return None
    return Readers(
        output(EDGE_REGION, "DistributionArn"),
        output(EDGE_REGION, "AccessIdentityUser"),
        settings.edge.probe_key or PROBE_KEY,
        tuple(settings.buckets.probe_addresses),
    )
