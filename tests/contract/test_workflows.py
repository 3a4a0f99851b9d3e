"""The workflows of GitHub Actions: verbs that there are, no right and no secret more than needed, actions by commit."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.source_tree import ROOT

FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
PARSED: dict[str, dict[Any, Any]] = {path.stem: yaml.safe_load(path.read_text()) for path in WORKFLOWS}
TRIGGERS = True  # YAML 1.1 reads the key `on` as true

each = pytest.mark.parametrize("name", PARSED)


def steps(name: str) -> Iterator[dict[str, Any]]:
    for job in PARSED[name]["jobs"].values():
        yield from job["steps"]


def verbs_of_the_makefile() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def verbs(name: str) -> set[str]:
    """What the workflow makes; of `make "$VERB"` what the matrix gives."""
    found = set()
    for step in steps(name):
        found |= set(re.findall(r"\bmake ([a-z]+)", step.get("run", "")))
    for job in PARSED[name]["jobs"].values():
        found |= set(job.get("strategy", {}).get("matrix", {}).get("verb", ()))
    return found


def test_there_is_a_workflow_for_each_change_and_one_for_the_deployment() -> None:
    assert PARSED.keys() == {"ci", "deploy"}
    assert PARSED["ci"][TRIGGERS].keys() == {"push", "pull_request"}
    assert PARSED["deploy"][TRIGGERS].keys() == {"workflow_dispatch"}


@each
def test_a_workflow_makes_verbs_that_there_are(name: str) -> None:
    assert verbs(name) - verbs_of_the_makefile() == set()


def test_every_change_is_looked_at_as_here() -> None:
    here = set(re.findall(r"^for name in ([a-z ]+); do step", (ROOT / ".ci/run").read_text(), re.MULTILINE)[0].split())
    assert {"check", "test", "sam", "browser", "rehearse"} == verbs("ci") >= here


def test_the_deployment_shows_its_plan_and_waits_for_an_approval() -> None:
    jobs = PARSED["deploy"]["jobs"]
    assert {name: job["environment"] for name, job in jobs.items()} == {"plan": "plan", "deploy": "production"}
    assert jobs["deploy"]["needs"] == "plan"
    assert "make deploy" not in str(jobs["plan"])
    assert PARSED["deploy"]["concurrency"]["cancel-in-progress"] is False


@each
def test_a_workflow_may_only_read_and_ask_for_a_token_where_it_takes_a_role(name: str) -> None:
    assert PARSED[name]["permissions"] == {"contents": "read"}
    for job in PARSED[name]["jobs"].values():
        takes_a_role = "role-to-assume" in str(job["steps"])
        wanted = {"contents": "read", "id-token": "write"} if takes_a_role else None
        assert job.get("permissions") == wanted


@each
def test_a_workflow_has_no_secret_and_no_key(name: str) -> None:
    text = (FOLDER / "workflows" / f"{name}.yml").read_text()
    assert not re.search(r"secrets\.|AKIA|aws-(access-key-id|secret-access-key)|arn:aws|\b\d{12}\b", text)


@each
def test_nothing_from_outside_gets_into_a_shell(name: str) -> None:
    """An expression in `run` is text of the script before the shell sees it."""
    assert [step["run"] for step in steps(name) if "${{" in step.get("run", "")] == []
    assert "pull_request_target" not in str(PARSED[name][TRIGGERS])


@each
def test_an_action_is_a_commit_with_its_version_beside_it(name: str) -> None:
    text = (FOLDER / "workflows" / f"{name}.yml").read_text()
    uses = re.findall(r"uses: (.+)$", text, re.MULTILINE)
    assert uses
    assert [line for line in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_an_action_is_the_same_commit_everywhere() -> None:
    found: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, commit in re.findall(r"uses: (\S+)@(.+)$", path.read_text(), re.MULTILINE):
            found.setdefault(action, set()).add(commit)
    assert {action: commits for action, commits in found.items() if len(commits) > 1} == {}


@each
def test_a_checkout_keeps_no_token_and_a_job_has_an_end(name: str) -> None:
    for step in steps(name):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    assert all(job["timeout-minutes"] <= 120 for job in PARSED[name]["jobs"].values())


def test_a_workflow_installs_the_python_of_the_functions() -> None:
    versions = {
        step["with"]["python-version"]
        for name in PARSED
        for step in steps(name)
        if "python-version" in step.get("with", {})
    }
    assert versions == {"3.13"}
    assert "Runtime: python3.13" in (ROOT / "template.yaml").read_text()


def test_dependabot_looks_at_every_file_of_pins_and_at_the_actions() -> None:
    updates = {
        each["package-ecosystem"]: each for each in yaml.safe_load((FOLDER / "dependabot.yml").read_text())["updates"]
    }
    assert updates.keys() == {"pip", "github-actions"}
    ours = [
        path
        for pattern in ("*.in", "[a-z]*/**/*.in")
        for path in ROOT.glob(pattern)
        if path.with_suffix(".txt").exists()
    ]
    folders = {Path("/", *path.relative_to(ROOT).parts[:-1]).as_posix() for path in ours}
    assert set(updates["pip"]["directories"]) == folders
