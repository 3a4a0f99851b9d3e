"""The `nearside` command against the world: each command well, and each wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.world import World
from nearside import cli

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_presign_prints_a_url(run: Run) -> None:
    code, out, _ = run("presign", "images/harbour.png")
    assert code == 0
    assert "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256" in out


def test_presign_json_tells_route_and_reason(run: Run) -> None:
    _, out, _ = run("presign", "images/harbour.png", "--json", "--place", "us-east-2")
    answer = json.loads(out)
    assert (answer["route"], answer["reason"]) == ("us-east-2", "pinned, as asked")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("presign", "nope"), "nearside: 'nope' is not in eu-west-2, us-east-2\n"),
        (("presign", "a", "--expires", "700000"), "nearside: expires_in is 700000: expected `int` <= 604800\n"),
        (("presign", "a", "--bucket", "No!"), "nearside: BUCKET is 'No!': expected a bucket's name\n"),
        (("presign", "a", "--replica", "us-east-2"), "nearside: REPLICAS[0].bucket is '', which is no bucket\n"),
        (
            ("mrap", "status", "nope"),
            "nearside: no Multi-Region Access Point 'nope' in this account; there are: nearside",
        ),
        (("upload", "/no/such/file"), "nearside: [Errno 2] No such file or directory: '/no/such/file'\n"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(words)


def test_upload_sends_type_and_cache_control(run: Run, world: World, tmp_path: Path, us: "S3Client") -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>hello")
    code, out, _ = run("upload", str(page), "cli/page.html", "--cache-control", "max-age=60")
    assert code == 0
    assert out.startswith("cli/page.html: 8 bytes as text/html by mrap, version ")
    world.settle()
    held = us.head_object(Bucket=world.buckets["us-east-2"], Key="cli/page.html")
    assert (held["ContentType"], held["CacheControl"]) == ("text/html", "max-age=60")
    code, _, err = run("upload", str(page), "cli/page.html", "--no-overwrite")
    assert code == 1
    assert "412 PreconditionFailed" in err


def test_compare_puts_the_two_urls_side_by_side(run: Run) -> None:
    code, out, _ = run("compare", "images/harbour.png")
    rows = {line[:9].strip(): line for line in out.splitlines()}
    assert code == 0
    assert rows["algorithm"].split() == ["algorithm", "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"]
    assert rows["first byt"].count("206 in") == 2


def test_mrap_status_says_ready_and_where(run: Run, world: World) -> None:
    code, out, _ = run("mrap", "status")
    assert code == 0
    assert out.splitlines()[0] == f"nearside  {world.mrap_alias}  READY"
    assert {line.split()[0] for line in out.splitlines()[1:]} == set(world.buckets)


def test_check_goes_the_whole_way_and_leaves_nothing(run: Run, world: World, eu: "S3Client") -> None:
    code, out, _ = run("check")
    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "ok    upload",
        "ok    replication",
        "ok    download",
        "ok    clean up",
    ]
    left = eu.list_object_versions(Bucket=world.buckets["eu-west-2"], Prefix=".nearside-check/")
    assert "Versions" not in left


def test_check_says_which_place_lags(run: Run, world: World) -> None:
    world.set_lag(30)
    code, out, _ = run("check", "--wait", "0.1")
    assert code == 1
    assert "FAIL  replication: after " in out
    assert "eu-west-2: has it (PENDING); us-east-2: does not have it" in out


def test_check_says_which_place_is_down(run: Run, world: World) -> None:
    world.switch("us-east-2", on=False)
    code, out, _ = run("check", "--wait", "0.1")
    assert code == 1
    assert "us-east-2: cannot be reached" in out
    assert "X-Amz-Signature" not in out, "a signed URL was printed"
