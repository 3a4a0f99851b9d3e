"""The command line: `plan`, `deploy`, `destroy`, `status` and `adopt` of what nearside.toml says."""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from types import FrameType

import msgspec
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from deploy import DeployFailed, adopting_command, page_files
from deploy.cloud import Aws, verdict
from deploy.destroying import Destruction
from deploy.parameters import EDGE_REGION, StackId, application_stack, bucket_stack, edge_stack, page_stack
from deploy.running import Run
from deploy.sam import Sam
from deploy.settings import Settings, load
from deploy.status import status
from deploy.templates import read
from local import ROOT


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns 0; 1 when it failed or was refused; 130 when it was stopped. Raises SystemExit(2) when
    it was typed wrongly."""
    options = _parser().parse_args(arguments)
    try:
        with _stoppable():
            settings = load(options.settings)
            return _COMMANDS[options.command](options, settings, Aws(settings.profile))
    except NoCredentialsError:
        sys.stderr.write("deploy: no AWS credentials: name a `profile` in the settings, or set AWS_PROFILE\n")
        return 1
    except (DeployFailed, ClientError, BotoCoreError) as failure:
        sys.stderr.write(f"deploy: {failure}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "deploy: stopped. What CloudFormation has begun goes on by itself; the same command waits for it.\n"
        )
        return 130


def _plan(options: argparse.Namespace, settings: Settings, aws: Aws) -> int:
    _show_plan(_run(settings, aws))
    return 0


def _deploy(options: argparse.Namespace, settings: Settings, aws: Aws) -> int:
    run = _run(settings, aws)
    _show_plan(run)
    if not options.yes and _answer("Deploy? [y/N] ").lower() not in ("y", "yes"):
        _say("nothing was done")
        return 1
    run.deploy()
    if any(each.adopt for each in settings.regions):
        _say("NOTE     make adopt shows what your own buckets still lack")
    _say("done; make status says when all is ready")
    return 0


def _destroy(options: argparse.Namespace, settings: Settings, aws: Aws) -> int:
    destruction, region = Destruction(_run(settings, aws)), options.region
    if region:
        destruction.refuse_region(region)
        asked, what = region, f"the stacks of {settings.name} in {region}, and their bucket"
    else:
        destruction.refuse_objects()
        asked, what = settings.name, f"every stack of {settings.name}, and the buckets that they made"
    if _answer(f"This deletes {what}. Type {asked} to go on: ") != asked:
        _say("nothing was done")
        return 1
    left = destruction.of_region(region) if region else destruction.whole()
    for line in [*left, *([] if region else destruction.kept())]:
        _say(line)
    return 1 if left else 0


def _status(options: argparse.Namespace, settings: Settings, aws: Aws) -> int:
    _name_account(settings, aws)
    for line in status(settings, aws, verdict, time.sleep, drift=options.drift):
        _say(line)
    return 0


def _adopt(options: argparse.Namespace, settings: Settings, aws: Aws) -> int:
    _name_account(settings, aws)
    given = settings if options.undo else _probed(settings, aws)
    return adopting_command.run(options, given, aws.client, _outputs(settings, aws))


_COMMANDS = {"plan": _plan, "deploy": _deploy, "destroy": _destroy, "status": _status, "adopt": _adopt}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy", description="Nearside's stacks, from one file of settings."
    )
    parser.add_argument("--settings", type=Path, default=ROOT / "nearside.toml", help="the file (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("plan", help="what deploy would do")
    commands.add_parser("deploy", help="do it").add_argument("--yes", action="store_true", help="ask nothing")
    destroy = commands.add_parser("destroy", help="delete the stacks; refused while there are objects")
    destroy.add_argument("--region", default="", help="only this one, which the settings no longer have")
    commands.add_parser("status", help="how it is").add_argument("--drift", action="store_true", help="drift as well")
    adopt = commands.add_parser("adopt", help="what would change in the buckets with `adopt = true`; changing it")
    adopting_command.add_arguments(adopt)
    return parser


def _run(settings: Settings, aws: Aws) -> Run:
    _name_account(settings, aws)
    settings = _probed(settings, aws)
    templates, sam = cache(partial(read, ROOT)), Sam(ROOT, settings.profile)
    return Run(settings, aws, sam, templates, _say, time.sleep, page_files.read(ROOT))


def _probed(settings: Settings, aws: Aws) -> Settings:
    """With the addresses of the health checkers, which the buckets let in, where the edge has health checks."""
    edge, buckets = settings.edge, settings.buckets
    if not (edge.enabled and edge.txt_zone_id and edge.probe_key != "") or buckets.probe_addresses:
        return settings
    found = msgspec.structs.replace(buckets, probe_addresses=aws.checker_addresses())
    return msgspec.structs.replace(settings, buckets=found)


def _name_account(settings: Settings, aws: Aws) -> None:
    _say(f"{settings.name} in account {aws.account(settings.primary.region)}")


def _outputs(settings: Settings, aws: Aws) -> Callable[[str, str], str]:
    """What the region's stacks put out, by name; empty where none does."""
    stack = cache(aws.stack)

    def output(region: str, key: str) -> str:
        names: list[StackId] = [application_stack(settings, region), bucket_stack(settings, region)]
        if region == EDGE_REGION:
            names.append(edge_stack(settings))
        if region == settings.primary.region:
            names.append(page_stack(settings))
        found = [there.outputs[key] for name in names if (there := stack(name)) and key in there.outputs]
        return found[0] if found else ""

    return output


@contextmanager
def _stoppable() -> Iterator[None]:
    """A kill or a closed terminal ends it as Ctrl-C does, and with it the `sam` that it started."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_plan(run: Run) -> None:
    for line in run.plan().lines:
        _say(line)


def _answer(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        return ""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
