"""Data flows one way: handler → domain → adapter; and nobody else talks to AWS or reads the environment."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.contract.source_tree import ROOT, functions_of, imported, module_name, python_files, tree, within

SDKS = ("boto3", "botocore", "awscrt", "urllib3", "s3transfer", "requests", "http.client", "urllib.request")
# Composition roots beside the handlers: what functions share, the client library and the command.
ROOTS = {
    *("nearside.assembly", "nearside.gateway_assembly", "nearside.reconcile_assembly", "nearside.client"),
    *("nearside.gateway_overview", "nearside.uploads_assembly"),
    *("nearside.cli", "nearside.key_commands", "nearside.place_commands", "nearside.reconcile_commands"),
    *("nearside.cache", "nearside.caches", "nearside.cache_commands"),
}
# A part of an SDK that talks to nobody: CRCs and XXHashes, which Python does not have.
ARITHMETIC = "awscrt.checksums"

# Of the deploy command: what talks to AWS, and the boundary that tells its refusals.
DEPLOY_TALKS = {"deploy.cloud", "deploy.adopting_s3", "deploy.commands"}

LAYER = python_files("layers")
FUNCTIONS = python_files("functions")
DEPLOY = python_files("deploy")
DOMAIN = [p for p in LAYER if not within(module_name(p), "nearside.adapters") and module_name(p) not in ROOTS]

# These stand alone, and their modules import each other by plain names.
FLAT = sorted(functions_of("stacks/edge.yaml"))

by_name = pytest.mark.parametrize


def offending(path: Path, *packages: str) -> set[str]:
    return {name for name in imported(path) if within(name, *packages)}


def flat_modules(function: str) -> dict[str, Path]:
    """The function's modules by the names that they have in Lambda."""
    prefix = f"functions.{function}."
    return {module_name(path).removeprefix(prefix): path for path in python_files(f"functions/{function}")}


def test_the_tree_is_where_these_tests_look() -> None:
    names = {module_name(path) for path in LAYER + FUNCTIONS}
    assert {"nearside.presign", "nearside.adapters.s3", "functions.presign.handler", *ROOTS} <= names


@by_name("path", [p for p in LAYER + FUNCTIONS if "adapters" not in module_name(p).split(".")], ids=module_name)
def test_only_adapters_import_an_sdk(path: Path) -> None:
    assert {name for name in offending(path, *SDKS) if not within(name, ARITHMETIC)} == set()


@by_name("path", [p for p in DEPLOY if module_name(p) not in DEPLOY_TALKS], ids=module_name)
def test_deploying_decides_in_modules_that_talk_to_nobody(path: Path) -> None:
    assert offending(path, *SDKS) == set()


@by_name("function", FLAT)
def test_in_a_function_that_stands_alone_only_the_handler_knows_the_adapters(function: str) -> None:
    modules = flat_modules(function)
    assert "handler" in modules
    for name, path in modules.items():
        if name != "handler" and not within(name, "adapters"):
            assert offending(path, "adapters", "handler") == set(), name
        assert offending(path, "nearside") == set(), name


@by_name("function", FLAT)
def test_a_function_that_stands_alone_has_no_import_cycle(function: str) -> None:
    modules = flat_modules(function)
    graph = {
        name: imported(path, at_module_level_only=True) & modules.keys() - {name} for name, path in modules.items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")


@by_name("path", DOMAIN, ids=module_name)
def test_the_domain_imports_no_adapter_and_no_root(path: Path) -> None:
    lazily_public = {"nearside.client", "nearside.client.Presigner"} if module_name(path) == "nearside" else set()
    assert offending(path, "nearside.adapters", *ROOTS, "functions") == lazily_public


@by_name("path", LAYER + FUNCTIONS, ids=module_name)
def test_nothing_that_is_deployed_imports_the_local_world_or_tests(path: Path) -> None:
    assert offending(path, "local", "tests", "bench", "moto") == set()


@by_name("path", FUNCTIONS, ids=module_name)
def test_a_function_imports_no_other_function(path: Path) -> None:
    assert offending(path, "functions", "handler") == set()


@by_name("path", python_files("local"), ids=module_name)
def test_the_world_checks_signatures_without_the_code_that_made_them(path: Path) -> None:
    assert offending(path, "nearside.signing", "nearside.presign", "nearside.client") == set()


def test_no_import_cycle_at_module_level() -> None:
    paths = {module_name(path): path for path in LAYER + FUNCTIONS + DEPLOY + python_files("local")}
    graph = {
        name: {other for other in imported(path, at_module_level_only=True) if other in paths and other != name}
        for name, path in paths.items()
    }
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(error.args[1])}")
    assert order.index("nearside.errors") < order.index("nearside.presign") < order.index("functions.presign.handler")


# The edge function is given no variables but its credentials, so it has no settings.
READERS = {"nearside.settings", "functions.origin_router.signing"}


@by_name("path", [p for p in LAYER + FUNCTIONS if module_name(p) not in READERS], ids=module_name)
def test_only_settings_reads_the_environment(path: Path) -> None:
    words = {node.attr for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)}
    names = {alias.name for node in ast.walk(tree(path)) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert (words | names) & {"environ", "environb", "getenv"} == set()


def test_the_edge_function_reads_nothing_but_its_credentials_from_the_environment() -> None:
    calls = [node for node in ast.walk(tree(ROOT / "functions/origin_router/signing.py")) if isinstance(node, ast.Call)]
    read = {ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "os.environ.get"}
    assert read == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}
    mentions = [
        node for node in ast.walk(tree(ROOT / "functions/origin_router/signing.py")) if isinstance(node, ast.Attribute)
    ]
    assert len([node for node in mentions if node.attr == "environ"]) == len(read)


@by_name("path", LAYER + FUNCTIONS, ids=module_name)
def test_nothing_asks_whether_it_runs_locally(path: Path) -> None:
    tests = [node.test for node in ast.walk(tree(path)) if isinstance(node, ast.If | ast.IfExp | ast.While)]
    tests += [node.subject for node in ast.walk(tree(path)) if isinstance(node, ast.Match)]
    for test in tests:
        for node in ast.walk(test):
            word = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "value", None)
            assert "local" not in str(word).lower() or isinstance(word, ast.AST), ast.unparse(test)
