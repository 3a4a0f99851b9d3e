"""Real clients against the running world with its three providers, one of which goes away in the middle."""

import hashlib
import io
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig

from local import ROOT
from local.world import World
from tests.gateway.converging import assert_same_bytes, assert_same_everywhere, drain
from tests.gateway.endpoints import Endpoint, made_bucket
from tests.gateway.programs import aws_environment, program, rclone_environment, run

FILES = int(os.environ.get("SYNC_FILES", "400"))
UPLOAD_MEGABYTES = int(os.environ.get("UPLOAD_MEGABYTES", "40"))
MIB = 1024**2


@pytest.fixture
def gateway(endpoints: Mapping[str, Endpoint]) -> Endpoint:
    """The gateway."""
    return endpoints["gateway"]


@pytest.fixture
def name() -> str:
    """Of a bucket that a client is to make."""
    return f"clients-{uuid.uuid4().hex[:8]}"


def tree(folder: Path, files: int) -> dict[str, bytes]:
    """So many small files, and their bytes by key."""
    chance = random.Random(files)
    bodies = {
        f"{number % 10}/file {number:04} ü.txt": chance.randbytes(chance.randrange(2000)) for number in range(files)
    }
    for key, body in bodies.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(body)
    return bodies


@contextmanager
def goes_away(world: World, provider: str, done: Callable[[], float]) -> Iterator[list[str]]:
    """The provider is down while `done`, from 0 to 1, is between a quarter and a half; the list tells of it."""
    over, happened = threading.Event(), list[str]()

    def watch() -> None:
        while not over.wait(0.05):
            if not happened and done() > 0.25:
                world.trouble_provider(provider, "down")
                happened.append("went away")
            elif happened and done() > 0.5:
                world.trouble_provider(provider, "heal")
                happened.append("came back")
                return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield happened
    finally:
        over.set()
        watching.join()
        world.providers.faults.heal()


def test_the_aws_cli(
    world: World, gateway: Endpoint, endpoints: Mapping[str, Endpoint], name: str, tmp_path: Path
) -> None:
    env = aws_environment(gateway)
    folder, back = tmp_path / "tree", tmp_path / "back"
    bodies = tree(folder, 120)
    run("aws", "s3", "mb", f"s3://{name}", env=env)
    run("aws", "s3", "sync", str(folder), f"s3://{name}/tree", "--only-show-errors", env=env)
    listing = run("aws", "s3", "ls", f"s3://{name}/tree/", "--recursive", "--summarize", env=env)
    assert "Total Objects: 120" in listing
    assert run("aws", "s3", "sync", str(folder), f"s3://{name}/tree", env=env) == ""  # all is there
    run("aws", "s3", "cp", f"s3://{name}/tree", str(back), "--recursive", "--only-show-errors", env=env)
    assert {str(path.relative_to(back)): path.read_bytes() for path in back.rglob("*.txt")} == bodies
    run("aws", "s3", "mv", f"s3://{name}/tree/0/file 0000 ü.txt", f"s3://{name}/moved", env=env)
    run("aws", "s3", "cp", f"s3://{name}/moved", f"s3://{name}/copied", env=env)
    run("aws", "s3", "rm", f"s3://{name}/tree", "--recursive", "--only-show-errors", env=env)
    assert [line.split()[-1] for line in run("aws", "s3", "ls", f"s3://{name}", env=env).splitlines()] == [
        "copied",
        "moved",
    ]
    assert "404" in run_fails(
        "aws", "s3api", "head-object", "--bucket", name, "--key", "tree/0/file 0000 ü.txt", env=env
    )
    drain(world)
    assert list(assert_same_everywhere(endpoints, name)) == ["copied", "moved"]
    run("aws", "s3", "rb", f"s3://{name}", "--force", env=env)
    assert name not in run("aws", "s3", "ls", env=env)


def run_fails(*command: str, env: Mapping[str, str]) -> str:
    with pytest.raises(AssertionError) as caught:
        run(*command, env=env)
    return str(caught.value)


@pytest.mark.usefixtures("unlimited")
def test_the_aws_cli_with_a_large_file(gateway: Endpoint, name: str, tmp_path: Path) -> None:
    env = aws_environment(gateway)
    (tmp_path / "large").write_bytes(os.urandom(20 * MIB + 1))
    run("aws", "s3", "mb", f"s3://{name}", env=env)
    run("aws", "s3", "cp", str(tmp_path / "large"), f"s3://{name}/large", env=env)
    run("aws", "s3", "cp", f"s3://{name}/large", str(tmp_path / "back"), env=env)
    assert (tmp_path / "back").read_bytes() == (tmp_path / "large").read_bytes()


def test_rclone_syncs_while_a_provider_goes_away_and_comes_back(
    world: World, gateway: Endpoint, endpoints: Mapping[str, Endpoint], name: str, tmp_path: Path
) -> None:
    env = rclone_environment(gateway)
    bodies = tree(tmp_path, FILES)
    made_bucket(gateway.client(), name, gateway.region)
    s3 = gateway.client()

    def done() -> float:
        return len(s3.list_objects_v2(Bucket=name).get("Contents", [])) / FILES

    with goes_away(world, "harbor", done) as happened:
        run("rclone", "sync", str(tmp_path), f"gateway:{name}/tree", "--transfers", "8", "--checkers", "8", env=env)
        assert happened == ["went away", "came back"]
        run("rclone", "check", str(tmp_path), f"gateway:{name}/tree", "--size-only", env=env)
    drain(world, 120)
    found = assert_same_everywhere(endpoints, name)
    assert found == {f"tree/{key}": len(body) for key, body in bodies.items()}
    some = random.Random(1).sample(sorted(bodies), 20)
    assert_same_bytes(endpoints, name, {f"tree/{key}": bodies[key] for key in some})


def test_rclone_moves_and_removes(
    world: World, gateway: Endpoint, endpoints: Mapping[str, Endpoint], name: str, tmp_path: Path
) -> None:
    env = rclone_environment(gateway)
    tree(tmp_path, 60)
    run("rclone", "mkdir", f"gateway:{name}", env=env)
    run("rclone", "copy", str(tmp_path), f"gateway:{name}", env=env)
    run("rclone", "moveto", f"gateway:{name}/1/file 0001 ü.txt", f"gateway:{name}/x/moved.txt", env=env)
    run("rclone", "copyto", f"gateway:{name}/x/moved.txt", f"gateway:{name}/x/copied.txt", env=env)
    run("rclone", "delete", f"gateway:{name}", "--include", "/[0-8]/**", env=env)
    left = run("rclone", "lsf", "-R", "--files-only", f"gateway:{name}", env=env).splitlines()
    assert sorted(left) == [f"9/file {number:04} ü.txt" for number in range(9, 60, 10)] + [
        "x/copied.txt",
        "x/moved.txt",
    ]
    (tmp_path / "9" / "file 0009 ü.txt").unlink()
    run("rclone", "sync", str(tmp_path / "9"), f"gateway:{name}/9", env=env)
    assert "9/file 0009 ü.txt" not in run("rclone", "lsf", "-R", f"gateway:{name}", env=env)
    drain(world)
    assert len(assert_same_everywhere(endpoints, name)) == 7
    run("rclone", "purge", f"gateway:{name}", env=env)
    assert f"{name}/" not in run("rclone", "lsd", "gateway:", env=env)


@pytest.mark.usefixtures("unlimited")
def test_s3fs(world: World, gateway: Endpoint, endpoints: Mapping[str, Endpoint], name: str) -> None:
    script = ROOT / "tests" / "gateway" / "s3fs_session.py"
    program("aws")  # s3fs lies beside it
    run("python", str(script), name, "60", env=aws_environment(gateway))
    drain(world)
    assert sorted(assert_same_everywhere(endpoints, name)) == ["a b/ü.txt", "large", "moved"]


@pytest.mark.usefixtures("unlimited")
def test_boto3_sends_a_large_file_while_a_provider_goes_away(
    world: World, gateway: Endpoint, endpoints: Mapping[str, Endpoint], name: str
) -> None:
    s3 = gateway.client(max_pool_connections=8)
    made_bucket(s3, name, gateway.region)
    body = os.urandom(UPLOAD_MEGABYTES * MIB + 1)
    sent = 0

    def count(piece: int) -> None:
        nonlocal sent
        sent += piece

    with goes_away(world, "b2", lambda: sent / len(body)) as happened:
        s3.upload_fileobj(io.BytesIO(body), name, "large", Callback=count, Config=TransferConfig(max_concurrency=2))
        assert happened[0] == "went away"
        back = io.BytesIO()
        s3.download_fileobj(name, "large", back, Config=TransferConfig(max_concurrency=3))
        assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(body).digest()
    drain(world, 120)
    assert assert_same_everywhere(endpoints, name) == {"large": len(body)}
    assert_same_bytes(endpoints, name, {"large": body})


def test_what_was_deleted_while_a_provider_was_away_does_not_come_back(
    world: World, gateway: Endpoint, endpoints: Mapping[str, Endpoint], name: str
) -> None:
    s3 = gateway.client()
    made_bucket(s3, name, gateway.region)
    for number in range(30):
        s3.put_object(Bucket=name, Key=f"{number:02}", Body=b"before")
    drain(world)
    world.trouble_provider("harbor", "down")
    for number in range(10):
        s3.delete_object(Bucket=name, Key=f"{number:02}")
        s3.put_object(Bucket=name, Key=f"{number + 10:02}", Body=b"changed meanwhile")
    assert len(s3.list_objects_v2(Bucket=name)["Contents"]) == 20
    world.providers.faults.heal()
    time.sleep(0.1)
    drain(world)
    found = assert_same_everywhere(endpoints, name)
    assert found == {f"{number:02}": 17 if number < 20 else 6 for number in range(10, 30)}
