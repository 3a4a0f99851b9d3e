"""`nearside cache` against the world: each command well, and each wrong."""

import hashlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.world import World
from nearside import cli
from nearside.cache import CacheManager
from tests.cache.faulty_server import serving

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

ROOT = Path(__file__).parents[2]
BUCKET = "nearside-eu-west-2"
PLAIN = "without-versions"

type Run = Callable[..., tuple[int, str, str]]
type Put = Callable[..., str]


@pytest.fixture
def run(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Types a command in an empty folder, with a cache of its own in `cache`."""
    for name, value in world.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "NEARSIDE_CACHE_MAX_BYTES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", world.place_urls["eu-west-2"])
    monkeypatch.setenv("NEARSIDE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(("cache", *arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def put(eu: "S3Client") -> Put:
    """Writes an object below a prefix of this test; its URI."""
    prefix = f"cache-{uuid.uuid4().hex}"

    def put(name: str, body: bytes, bucket: str = BUCKET) -> str:
        key = f"{prefix}/{name}"
        eu.put_object(Bucket=bucket, Key=key, Body=body)
        return f"s3://{bucket}/{key}"

    return put


@pytest.fixture
def plain(eu: "S3Client") -> Iterator[str]:
    """A bucket without versions."""
    name = f"{PLAIN}-{uuid.uuid4().hex[:8]}"
    eu.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    yield name
    for each in eu.list_objects_v2(Bucket=name).get("Contents", []):
        eu.delete_object(Bucket=name, Key=each["Key"])
    eu.delete_bucket(Bucket=name)


def aged(path: str, seconds: float) -> None:
    """Makes an entry last used so long ago."""
    folder = Path(path).parents[1]
    then = folder.stat().st_mtime - seconds
    os.utime(folder, (then, then))


def test_get_prints_the_path_of_each_in_their_order(run: Run, put: Put, tmp_path: Path) -> None:
    one, two = put("one.txt", b"one"), put("two.txt", b"two")
    (tmp_path / "three.txt").write_text("three")
    code, out, err = run("get", two, "three.txt", one, two)
    paths = [Path(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [path.read_bytes() for path in paths] == [b"two", b"three", b"one", b"two"]
    assert paths[0] == paths[3]
    assert [path.name for path in paths] == ["two.txt", "three.txt", "one.txt", "two.txt"]


def test_get_json_says_what_it_is(run: Run, put: Put) -> None:
    uri = put("one.txt", b"one")
    _, out, _ = run("get", "--json", uri)
    (first,) = json.loads(out)
    _, out, _ = run("get", "--json", uri)
    (second,) = json.loads(out)
    assert (first["downloaded"], second["downloaded"]) == (True, False)
    assert {**first, "downloaded": False} == second
    assert first["sha256"] == hashlib.sha256(b"one").hexdigest()
    assert (first["uri"], first["size"], first["source"], first["from_cache"]) == (uri, 3, "s3", True)
    assert Path(first["path"]).read_bytes() == b"one"


def test_get_asks_by_its_terms(run: Run, put: Put) -> None:
    uri = put("one.txt", b"one")
    code, out, err = run("get", "--offline", uri)
    assert (code, out) == (1, "")
    assert uri in err
    run("get", uri)
    put("one.txt", b"another")
    for terms in (["--offline"], ["--max-age", "1h"]):
        _, out, _ = run("get", *terms, uri)
        assert Path(out.strip()).read_bytes() == b"one"
    _, out, _ = run("get", uri)
    assert Path(out.strip()).read_bytes() == b"another"
    _, out, _ = run("get", "--force", "--json", uri)
    assert json.loads(out)[0]["downloaded"] is True


def test_what_cannot_be_got_is_said_and_the_others_are_printed(run: Run, put: Put) -> None:
    one, missing = put("one.txt", b"one"), f"s3://{BUCKET}/no/such"
    code, out, err = run("get", missing, "s3://", "nowhere.txt", one)
    assert code == 1
    assert [Path(line).read_bytes() for line in out.splitlines()] == [b"one"]
    assert len(err.splitlines()) == 3
    assert all(line.startswith("nearside: ") for line in err.splitlines())
    assert missing in err
    code, out, err = run("get", "--endpoint-url", "http://127.0.0.1:1", one)
    assert (code, out) == (1, "")
    assert err.startswith("nearside: ")


def test_the_endpoint_and_the_account_are_those_that_were_given(
    run: Run, put: Put, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = put("one.txt", b"one")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    code, out, _ = run("get", uri, "--endpoint-url", world.place_urls["eu-west-2"], "--region", "eu-west-2")
    assert code == 0
    assert Path(out.strip()).read_bytes() == b"one"
    code, _, err = run("get", uri, "--anonymous", "--endpoint-url", world.place_urls["eu-west-2"])
    assert code == 1
    assert uri in err


def test_a_bar_is_shown_where_it_was_asked_for(run: Run, put: Put) -> None:
    uris = [put(f"{number}.txt", b"x" * 500) for number in range(3)]
    _, out, err = run("get", "--progress", *uris)
    assert len(out.splitlines()) == 3
    assert "3/3 files" in err
    assert "1.5 kB" in err
    assert run("get", *uris)[2] == ""


def test_ls_shows_what_was_used_last_first(run: Run, put: Put) -> None:
    assert run("ls") == (0, "", "")
    assert run("ls", "--json") == (0, "[]\n", "")
    one, two = put("one.txt", b"one"), put("two.txt", b"x" * 2500)
    _, paths, _ = run("get", one, two)
    aged(paths.splitlines()[1], 3600)
    _, out, _ = run("ls")
    heading, *rows = [line.split() for line in out.splitlines()]
    assert heading == ["SIZE", "USED", "VALIDATED", "ETAG", "URI"]
    assert [(row[:2], row[-1]) for row in rows] == [(["3", "bytes"], one), (["2.5", "kB"], two)]
    assert rows[0][4] == f'"{hashlib.md5(b"one").hexdigest()}"'
    _, out, _ = run("ls", "--json")
    exact = json.loads(out)
    assert [each["uri"] for each in exact] == [one, two]
    assert exact[1]["size"] == 2500
    assert exact[1]["sha256"] == hashlib.sha256(b"x" * 2500).hexdigest()
    assert exact[0]["used_at"] > exact[1]["used_at"] + 3000
    assert abs(exact[0]["validated_at"] - exact[0]["fetched_at"]) < 600
    assert [each["path"] for each in exact] == paths.splitlines()


def test_ls_lets_no_key_write_to_the_terminal(run: Run, put: Put) -> None:
    uri = put("a\x1b[2J\nb c é.txt", b"one")
    run("get", uri)
    _, out, _ = run("ls")
    assert len(out.splitlines()) == 2
    assert "\x1b" not in out
    assert out.endswith("a\\x1b[2J\\nb c é.txt\n")


def test_stats_say_how_much_there_is(run: Run, put: Put, tmp_path: Path) -> None:
    run("get", put("one.txt", b"x" * 1500))
    _, out, _ = run("stats")
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert told["entries"] == "1, 1 of them in use"
    assert told["unfinished"] == "0 bytes"
    assert told["folder"].startswith(str(tmp_path / "cache"))
    _, out, _ = run("stats", "--json", "--dir", str(tmp_path / "cache"))
    exact = json.loads(out)
    assert exact["entries"] == exact["in_use"] == 1
    assert 1500 <= exact["bytes"] < 10_000
    assert exact["free_bytes"] > 0


@pytest.mark.parametrize(
    "arguments", [["ls"], ["ls", "--json"], ["stats"], ["clear"], ["evict", "1"], ["verify", "--cache"]]
)
def test_a_folder_without_a_cache_is_said_and_not_made(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    assert run(*arguments, "--dir", "typo") == (1, "", "nearside: there is no cache in typo\n")
    assert not (tmp_path / "typo").exists()
    (tmp_path / "full").mkdir()
    assert run(*arguments, "--dir", "full")[0] == 1
    assert list((tmp_path / "full").iterdir()) == []


def test_clear_leaves_what_is_in_use(run: Run, put: Put) -> None:
    one, two = put("one.txt", b"x" * 1500), put("two.txt", b"x" * 2500)
    _, out, _ = run("get", one, two)
    first, second = out.splitlines()
    with CacheManager().get(one, offline=True), CacheManager().get(two, offline=True):
        code, out, _ = run("clear", one)
        assert code == 0
        assert out == "freed 0 bytes; 2 entries stay (2 in use or just handed out)\n"
    aged(first, 3 * 86_400)
    aged(second, 3600)
    assert run("clear", "--older-than", "30d")[1] == "freed 0 bytes; 2 entries stay\n"
    _, out, _ = run("clear", "--older-than", "2d")
    assert out.startswith("freed ")
    assert out.endswith(" kB; 1 entry stays\n")
    assert not Path(first).exists()
    assert Path(second).exists()
    assert run("clear")[1].endswith(" kB; 0 entries stay\n")
    assert not Path(second).exists()


def test_clear_takes_uris(run: Run, put: Put) -> None:
    one, two, three = (put(f"{number}.txt", b"x" * 1500) for number in (1, 2, 3))
    _, out, _ = run("get", one, two, three)
    paths = out.splitlines()
    for path in paths:
        aged(path, 3600)
    assert run("clear", one, "--older-than", "1d")[1] == "freed 0 bytes; 3 entries stay\n"
    code, out, err = run("clear", two, one, f"s3://{BUCKET}/no/such")
    assert code == 0
    assert out.endswith("1 entry stays\n")
    assert err == f"nearside: s3://{BUCKET}/no/such is not in the cache\n"
    assert [Path(path).exists() for path in paths] == [False, False, True]


@pytest.mark.parametrize(
    ("got", "cleared"),
    [
        ("{url}?x=1&X-Amz-Signature=deadbeef&X-Amz-Date=1", "{url}?x=1&X-Amz-Signature=deadbeef&X-Amz-Date=1"),
        ("{url}?x=1&X-Amz-Signature=deadbeef", "{url}?x=1&X-Amz-Signature=cafe"),
        ("{url}?x=1&X-Amz-Signature=deadbeef", "{url}?x=1"),
        ("{url}?x=1#part", "{url}?x=1"),
        ("{secret}?x=1", "{secret}?x=1"),
    ],
)
def test_clear_takes_web_addresses(run: Run, got: str, cleared: str) -> None:
    with serving() as server:
        for name in ("w", "w?x=1"):  # what S3 does not sign belongs to the name
            server.put(name, b"web")
        urls = {"url": f"{server.url}/w", "secret": f"{server.url}/w".replace("//", "//me:opensesame@")}
        code, out, _ = run("get", got.format(**urls))
        assert code == 0
        aged(out.strip(), 3600)
        _, out, err = run("clear", cleared.format(**urls))
        assert out.endswith("; 0 entries stay\n")
        assert err == ""
        code, out, err = run("clear", cleared.format(**urls))
        assert out == "freed 0 bytes; 0 entries stay\n"
        assert f"{server.url}/w".partition("//")[2] in err
        assert err.endswith("?x=1 is not in the cache\n")
        assert not any(secret in err for secret in ("deadbeef", "cafe", "opensesame"))


def test_clear_takes_the_scheme_in_any_letters(run: Run, put: Put) -> None:
    uri = put("one.txt", b"one")
    _, out, _ = run("get", uri.replace("s3:", "S3:"))
    aged(out.strip(), 3600)
    assert run("ls")[1].splitlines()[-1].endswith(f"  {uri}")
    _, out, err = run("clear", uri)
    assert (out.endswith("; 0 entries stay\n"), err) == (True, "")


def test_evict_removes_what_was_not_used_for_longest(run: Run, put: Put) -> None:
    uris = [put(f"{number}.bin", b"x" * 100_000) for number in range(3)]
    _, out, _ = run("get", *uris)
    paths = out.splitlines()
    for path, seconds in zip(paths, (4000, 6000, 5000), strict=True):
        aged(path, seconds)
    _, out, _ = run("evict", "250kB")
    assert out.endswith("entries stay\n")
    assert [Path(path).exists() for path in paths] == [True, False, True]


def test_lock_pins_and_get_gives_what_is_pinned(run: Run, put: Put) -> None:
    one, two = put("one.txt", b"one"), put("two.txt", b"two")
    code, out, err = run("lock", two, one, one)
    assert (code, err) == (0, "")
    assert [line.split()[:2] for line in out.splitlines()] == [["pinned", two], ["pinned", one]]
    pinned = json.loads(Path("s3.lock").read_text())["pins"]
    assert pinned[one]["sha256"] == hashlib.sha256(b"one").hexdigest()
    assert pinned[one]["version_id"]
    put("one.txt", b"another")
    _, out, _ = run("get", "-f", "s3.lock", one)
    assert Path(out.strip()).read_bytes() == b"one"
    _, out, _ = run("get", one)
    assert Path(out.strip()).read_bytes() == b"another"
    assert run("verify") == (0, "2 of 2 are what s3.lock pins\n", "")

    _, out, _ = run("lock")
    assert [line.split()[0] for line in out.splitlines()] == ["changed", "same"]
    assert json.loads(Path("s3.lock").read_text())["pins"][two] == pinned[two]
    _, out, _ = run("get", "-f", "s3.lock", one)
    assert Path(out.strip()).read_bytes() == b"another"


def test_the_pinned_is_found_in_an_empty_cache_too(run: Run, put: Put, tmp_path: Path) -> None:
    uri = put("one.txt", b"one")
    run("lock", uri, "-f", "mine.lock")
    put("one.txt", b"another")
    empty = ("--dir", str(tmp_path / "another"))
    assert run("verify", "-f", "mine.lock", *empty) == (0, "1 of 1 is what mine.lock pins\n", "")
    _, out, _ = run("get", "-f", "mine.lock", uri, *empty)
    assert Path(out.strip()).read_bytes() == b"one"


def test_without_versions_a_changed_object_is_an_error(run: Run, put: Put, plain: str, tmp_path: Path) -> None:
    uri = put("one.txt", b"one", plain)
    _, out, _ = run("lock", uri)
    assert "no version: by SHA-256" in out
    assert "version_id" not in json.loads(Path("s3.lock").read_text())["pins"][uri]
    put("one.txt", b"two", plain)
    assert run("verify")[:2] == (0, "1 of 1 is what s3.lock pins\n")  # the cache has it
    empty = ("--dir", str(tmp_path / "another"))
    code, out, err = run("verify", *empty)
    assert (code, out) == (1, "0 of 1 is what s3.lock pins\n")
    assert hashlib.sha256(b"one").hexdigest() in err
    assert hashlib.sha256(b"two").hexdigest() in err
    code, out, err = run("get", "-f", "s3.lock", uri, *empty)
    assert (code, out) == (1, "")
    assert "s3.lock" in err


def test_what_cannot_be_pinned_is_said_and_the_file_stays(run: Run, put: Put, tmp_path: Path) -> None:
    one = put("one.txt", b"one")
    run("lock", one)
    before = Path("s3.lock").read_bytes()
    (tmp_path / "local.txt").write_text("x")
    two = put("two.txt", b"two")
    for wrong, words in (
        (f"s3://{BUCKET}/images/", f"s3://{BUCKET}/images/ is a prefix"),
        ("local.txt", "local.txt is a local file"),
        ("s3://", "s3://"),
        (f"s3://{BUCKET}/no/such", "s3.lock is left as it was"),
    ):
        code, out, err = run("lock", two, wrong)
        assert (code, out) == (1, "")
        assert words in err
    assert Path("s3.lock").read_bytes() == before
    code, _, err = run("lock", "-f", "empty.lock")
    assert code == 1
    assert "nothing to pin" in err
    assert not Path("empty.lock").exists()


@pytest.mark.parametrize(
    "uri", ["{url}?X-Amz-Signature=deadbeef&X-Amz-Date=1", "{secret}", "{secret}?x=1", "{url}?x=1&token=deadbeef"]
)
def test_what_a_secret_opens_cannot_be_pinned(run: Run, uri: str) -> None:
    with serving() as server:
        server.put("w", b"web")
        plain = f"{server.url}/w"
        urls = {"url": plain, "secret": plain.replace("//", "//me:opensesame@")}
        code, out, err = run("lock", plain, uri.format(**urls))
        assert (code, out) == (1, "")
        assert "was given with a password, signature or token, which no lock file keeps" in err
        assert not any(secret in err for secret in ("deadbeef", "opensesame"))
        assert not Path("s3.lock").exists()
        assert server.asked == []


def test_web_addresses_without_secrets_are_pinned(run: Run) -> None:
    with serving() as server:
        server.put("w", b"web")
        server.put("w?x=1", b"another")
        plain = f"{server.url}/w"
        code, out, _ = run("lock", f"{plain}?x=1#part", plain.replace("http:", "HTTP:"))
        assert (code, len(out.splitlines())) == (0, 2)
        assert set(json.loads(Path("s3.lock").read_text())["pins"]) == {plain, f"{plain}?x=1"}
        assert run("verify") == (0, "2 of 2 are what s3.lock pins\n", "")


def test_the_scheme_is_pinned_in_small_letters(run: Run, put: Put) -> None:
    uri = put("one.txt", b"one")
    run("lock", uri.replace("s3:", "S3:"))
    assert set(json.loads(Path("s3.lock").read_text())["pins"]) == {uri}
    for each in (uri, uri.replace("s3:", "S3:")):
        assert run("get", "-f", "s3.lock", each)[0] == 0


def test_a_lock_file_that_is_none_is_said(run: Run, put: Put) -> None:
    one = put("one.txt", b"one")
    for arguments in (["verify"], ["get", "-f", "s3.lock", one]):
        code, _, err = run(*arguments)
        assert code == 1
        assert "there is no lock file s3.lock" in err
    Path("s3.lock").write_text("<<<<<<< HEAD")
    for arguments in (["verify"], ["get", "-f", "s3.lock", one], ["lock", one]):
        code, _, err = run(*arguments)
        assert code == 1
        assert "s3.lock is not a lock file" in err
    Path("s3.lock").write_text('{"version": 1, "pins": {}}')
    code, out, err = run("get", "-f", "s3.lock", one)
    assert (code, out) == (1, "")
    assert f"s3.lock does not pin {one}" in err


def test_verify_finds_damage_that_a_look_at_size_and_time_does_not(run: Run, put: Put, plain: str) -> None:
    one, two = put("one.txt", b"one", plain), put("two.txt", b"two", plain)
    _, out, _ = run("get", one, two)
    path = Path(out.splitlines()[0])
    assert run("verify", "--cache") == (0, "2 entries read, 0 damaged\n", "")
    run("lock", one)
    at = path.stat()
    path.chmod(0o600)
    path.write_bytes(b"onE")
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    code, out, _ = run("verify", "--cache")
    assert code == 1
    assert out == f"damaged  {one}  {path}\n2 entries read, 1 damaged\n"
    assert run("verify") == (0, "1 of 1 is what s3.lock pins\n", "")  # which downloads it again
    assert run("verify", "--cache") == (0, "2 entries read, 0 damaged\n", "")


def test_verify_finds_data_that_was_cut_and_entries_that_cannot_be_read(run: Run, put: Put) -> None:
    _, out, _ = run("get", *(put(f"{number}.txt", b"some text") for number in range(3)))
    cut, torn, _ = (Path(line) for line in out.splitlines())
    cut.chmod(0o600)
    os.truncate(cut, 4)
    (torn.parents[1] / "entry.json").write_text("{")
    code, out, _ = run("verify", "--cache")
    assert code == 1
    *damaged, total = out.splitlines()
    folders = sorted(str(each.parents[1]) for each in (cut, torn))
    assert sorted(damaged) == [f"damaged  an entry  {folder}" for folder in folders]
    assert total == "3 entries read, 2 damaged"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["clear", "--older-than", "30 days"], "'30 days' is no length of time"),
        (["clear", "--older-than", "-1d"], "expected one argument"),
        (["clear", "--older-than=-1d"], "'-1d' is no length of time"),
        (["evict", "much"], "'much' is no size"),
        (["evict"], "required: size"),
        (["get"], "required: uri"),
        (["get", "--anonymous", "--profile", "x", "a"], "not allowed with"),
        (["verify", "--cache", "-f", "s3.lock"], "not allowed with"),
        ([], "required: COMMAND"),
    ],
)
def test_what_was_typed_wrong_is_said(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as left:
        run(*arguments)
    assert left.value.code == 2
    assert words in capsys.readouterr().err


def test_the_other_commands_do_not_pay_for_the_cache() -> None:
    heavy = "{'nearside.caches', 'nearside.cache', 'filelock', 'rich', 'platformdirs', 'asyncio'}"
    code = f"import sys, nearside.cli; sys.exit(' '.join({heavy} & sys.modules.keys()) or 0)"
    command = [sys.executable, "-c", code]
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "layers/nearside")}
    ran = subprocess.run(command, env=path, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
