"""The controls, as HTTP and as commands, and a world run as a program: ports, signals, what is left afterwards."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local import ROOT, CommandFailed
from local.commands import main
from local.gateway_key import key_pair
from local.ports import Ports
from local.running import banner, docker_gateway, exports
from local.world import World
from tests.integration.console import free_base
from tests.integration.http_client import Answer, get, send

pytestmark = pytest.mark.usefixtures("unheard")  # the catalog is not what these are about

REGION = "us-east-2"


def post(world: World, target: str, **headers: str) -> Answer:
    return send("POST", world.controls_url + target, headers=headers)


def test_the_state(world: World) -> None:
    state = get(f"{world.controls_url}/state").json
    assert [region["name"] for region in state["regions"]] == ["eu-west-2", "us-east-2"]
    assert state["mrap"]["arn"] == world.mrap_arn
    assert state["location"] == "eu"


def test_each_control(world: World) -> None:
    assert post(world, "/lag?seconds=30").json["lag_seconds"] == 30
    assert post(world, "/location?to=us").json["location"] == "us"
    assert post(world, f"/region/{REGION}?state=off").status == 200
    assert post(world, f"/slow/{REGION}?seconds=2").status == 200
    region = post(world, f"/failing/{REGION}?ratio=0.5").json["regions"][1]
    assert region["condition"] == {"on": False, "slow_seconds": 2, "failing_ratio": 0.5}
    healed = post(world, "/heal").json
    assert healed["regions"][1]["condition"] == {"on": True, "slow_seconds": 0, "failing_ratio": 0}
    assert healed["location"] == "eu"
    assert post(world, "/settle?timeout=5").json["pending"] == 0


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/lag", "seconds is missing"),
        ("/lag?seconds=-1", "seconds is '-1': expected a number from 0 to 3600"),
        ("/lag?seconds=nan", "seconds is 'nan'"),
        ("/lag?seconds=soon", "seconds is 'soon'"),
        (f"/slow/{REGION}?seconds=61", "expected a number from 0 to 60"),
        (f"/failing/{REGION}?ratio=2", "expected a number from 0 to 1"),
        (f"/region/{REGION}?state=maybe", "state is 'maybe': expected on or off"),
        ("/region/mars-1?state=off", "region is 'mars-1': expected one of eu-west-2, us-east-2"),
        ("/location?to=mars", "'mars' is no location"),
        ("/dns/set?name=a.nearside.test", "needs a text"),
        ("/dns/set?name=a.nearside.test&text=x&ttl=-1", "ttl is '-1'"),
        ("/dns/set?name=a.nearside.test&text=x&weights=1,2", "one from 0 to 255 for each text"),
        ("/dns/set?name=a.nearside.test&text=x&weights=many", "weights is 'many'"),
        ("/dns/remove?name=a.nearside.test", "has no records"),
        ("/dns/fail?mode=sulk", "mode is 'sulk'"),
        ("/dns/fail?mode=slow&seconds=61", "expected a number from 0 to 60"),
        ("/provider/mars/down", "provider is 'mars': expected one of eu-west-2, harbor, b2"),
        ("/provider/b2/sulk", "fault is 'sulk': expected one of down, slow"),
        ("/provider/b2/slow", "seconds is missing"),
        ("/provider/b2/slow?seconds=61", "expected a number from 0 to 60"),
        ("/provider/b2/cut?ratio=2", "expected a number from 0 to 1"),
        ("/lambda-limits?state=maybe", "state is 'maybe': expected on or off"),
    ],
)
def test_bad_values_are_refused(world: World, target: str, says: str) -> None:
    before = get(f"{world.controls_url}/state").json
    answer = post(world, target)
    assert answer.status == 400
    assert says in answer.json["message"]
    assert get(f"{world.controls_url}/state").json == before


def test_each_fault_of_a_place_of_the_gateway(world: World) -> None:
    well = {"down": False, "full": False, "slow_seconds": 0}
    well |= dict.fromkeys(("failing", "throttled", "cut", "wrong_bytes"), 0)

    def trouble(answer: Answer) -> dict[str, object]:
        [found] = [each for each in answer.json["gateway"]["providers"] if each["name"] == "b2"]
        return {name: value for name, value in found["trouble"].items() if value != well[name]}

    assert trouble(post(world, "/provider/b2/down")) == {"down": True}
    assert trouble(post(world, "/provider/b2/slow?seconds=0.5")) == {"down": True, "slow_seconds": 0.5}
    assert trouble(post(world, "/provider/b2/heal")) == {}
    assert trouble(post(world, "/provider/b2/wrong-bytes")) == {"wrong_bytes": 1}
    assert trouble(post(world, "/provider/b2/failing?ratio=0.2")) == {"wrong_bytes": 1, "failing": 0.2}
    assert trouble(post(world, "/provider/b2/full")) == {"wrong_bytes": 1, "failing": 0.2, "full": True}
    assert trouble(post(world, "/heal")) == {}


def test_lambdas_limits_are_switched(world: World) -> None:
    assert world.gateway is not None
    assert post(world, "/lambda-limits?state=off").json["gateway"]["lambda_limits"] is False
    assert not world.gateway.limited
    assert post(world, "/heal").json["gateway"]["lambda_limits"] is True


def test_the_gateways_key_is_known(world: World) -> None:
    """And only with its secret."""
    pair = key_pair()
    for secret, status in ((pair.secret_access_key, 200), ("wrong", 403)):
        client = boto3.client(
            "s3",
            endpoint_url=world.gateway_url,
            region_name="eu-west-2",
            aws_access_key_id=pair.access_key_id,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}),
        )
        try:
            answer: Any = client.list_buckets()
        except ClientError as error:
            answer = error.response
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == status


def test_what_is_sent_to_the_queue_over_http_is_polled(world: World) -> None:
    url = world.environment()["GATEWAY_QUEUE_URL"]
    sqs = boto3.client("sqs", region_name="eu-west-2", endpoint_url=world.aws_url)
    world.flow.hurry()
    for number in range(20):
        body = json.dumps({"bucket": "nobody", "key": str(number)})
        assert sqs.send_message(QueueUrl=url, MessageBody=body)["MessageId"]
    world.settle(10)
    assert world.state().gateway.waiting == 0
    assert world.flow.dead_letters() == {"eu-west-2": [], "us-east-2": []}


def test_settle_says_what_waits(world: World) -> None:
    from local.object_store import write

    world.switch(REGION, on=False)
    version = write(world.buckets["eu-west-2"], "waits", b"", "text/plain")
    world.replication.added(world.buckets["eu-west-2"], version)
    answer = post(world, "/settle?timeout=0.1")
    assert answer.status == 400
    assert "1 from eu-west-2 to us-east-2" in answer.json["message"]
    world.switch(REGION, on=True)
    world.settle()


def test_unknown_paths_and_methods(world: World) -> None:
    assert get(f"{world.controls_url}/none").status == 404
    assert post(world, "/none").status == 404
    assert post(world, "/region").status == 404
    assert send("DELETE", f"{world.controls_url}/state").status == 405


def test_the_page(world: World) -> None:
    page = get(f"{world.controls_url}/?location=us")
    assert page.headers["content-type"].startswith("text/html")
    assert world.location().name == "us"
    text = page.body.decode()
    assert REGION in text
    assert "<script" not in text
    form = {"Accept": "text/html", "Content-Type": "application/x-www-form-urlencoded"}
    back = send("POST", f"{world.controls_url}/region/{REGION}", b"state=off", form)
    assert (back.status, back.headers["location"]) == (303, "/")
    assert "turn on" in get(f"{world.controls_url}/").body.decode()
    send("POST", f"{world.controls_url}/dns/set", b"name=a.nearside.test&text=%3Cb%3E&ttl=7", form)
    send("POST", f"{world.controls_url}/dns/fail", b"mode=servfail", form)
    text = get(f"{world.controls_url}/").body.decode()
    assert "<code>&lt;b&gt;</code></td><td>7 s" in text
    assert "fails: servfail" in text


def test_the_page_shows_keys_as_text(world: World) -> None:
    from local.events import Happened

    world.events.publish(Happened("ObjectCreated:Put", REGION, "b", "<b>&", "v"))
    assert "&lt;b&gt;&amp;" in get(f"{world.controls_url}/").body.decode()
    assert get(f"{world.controls_url}/events").json["events"][-1]["s3"]["object"]["key"] == "%3Cb%3E%26"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_elsewhere_has_no_controls(world: World, headers: dict[str, str]) -> None:
    assert post(world, f"/region/{REGION}?state=off", **headers).status == 403
    assert world.faults.is_on(REGION)


def test_its_own_page_has(world: World) -> None:
    assert post(world, "/lag?seconds=1", Origin=world.controls_url).status == 200


# A world as a program


class Running:
    """A `python -m local run` in a process of its own."""

    def __init__(self, base: int, *arguments: str) -> None:
        self.base = base
        command = [sys.executable, "-m", "local", "run", "--port", str(base), *arguments]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_until_up(self) -> str:
        """The banner, which is printed once everything answers."""
        assert self.process.stdout is not None
        lines: list[str] = []
        while not (lines and lines[-1].endswith("Ctrl-C stops it.\n")):
            lines.append(self.process.stdout.readline())
            assert lines[-1], self.process.communicate()[1]
        return "".join(lines)

    def stop(self, number: int) -> tuple[int, str, str]:
        """Exit code, and what it still said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out, err


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A world run with --env-vars."""
    program = Running(
        free_base(), "--quiet", "--lag", "0", "--env-vars", str(tmp_path_factory.mktemp("env") / "env.json")
    )
    assert program.wait_until_up().startswith("Nearside's local world is up")
    yield program
    if program.process.poll() is None:
        program.stop(signal.SIGTERM)


def test_commands_speak_to_a_running_world(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    def command(*words: str) -> str:
        assert main([words[0], "--port", str(running.base), *words[1:]]) == 0
        return capsys.readouterr().out

    assert "lag 30 s" in command("lag", "30")
    assert "location us" in command("location", "us")
    assert "us-east-2    OFF" in command("region", REGION, "off")
    assert "slower by 0.5 s" in command("slow", REGION, "0.5")
    assert "failing 0.5 of 1" in command("failing", REGION, "0.5")
    host = "nearside-us-east-2.s3.us-east-2.amazonaws.com"
    told = command("dns", "set", "origin.nearside.test", host, f"{host}/path", "--ttl", "9", "--weights", "3,1")
    assert "origin.nearside.test, ttl 9 s, asked for 0 times" in told
    assert f"{host}/path (weight 1)" in told
    assert "FAILS: slow" in command("dns", "fail", "slow", "--seconds", "3")
    assert "FAILS" not in command("dns", "mend")
    assert command("dns", "set", "origin.nearside.test", host).endswith(f"\n  {host}\n")
    assert host not in command("dns", "remove", "origin.nearside.test")
    assert re.search("harbor +DOWN +rclone in eu-ham", command("provider", "harbor", "down"))
    assert "DOWN, cut 0.5 of 1" in command("provider", "harbor", "cut", "0.5")
    assert "slower by 0.1 s" in command("provider", "b2", "slow", "0.1")
    assert re.search("harbor +well", command("provider", "harbor", "heal"))
    assert "no limits" in command("lambda-limits", "off")
    assert '"swept": 0' in command("schedule", "reconcile")
    assert "us-east-2    on   " in command("heal")
    assert "(weight 100)" in command("status")
    assert re.search("b2 +well", command("status"))
    assert "0 pending" in command("settle")
    assert "eu-west-2    on" in command("status")


def test_a_command_that_is_refused(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lag", "--port", str(running.base), "much"]) == 1
    assert "seconds is 'much'" in capsys.readouterr().err


def test_a_record_that_is_refused(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dns", "--port", str(running.base), "set", "example.com", "x"]) == 1
    assert "'example.com' is not in nearside.test" in capsys.readouterr().err
    assert main(["dns", "set", "--port", str(running.base), "a.nearside.test", "x", "--ttl", "soon"]) == 1
    assert "ttl is 'soon'" in capsys.readouterr().err


def test_a_command_without_a_world(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--port", str(free_base())]) == 1
    assert "no world answers on port" in capsys.readouterr().err


def test_a_port_in_use_is_named(running: Running) -> None:
    second = Running(running.base)
    out, err = second.process.communicate(timeout=20)
    assert second.process.returncode == 1
    assert f"port {running.base + 1} on 127.0.0.1" in err
    assert (out, "Traceback" in err) == ("", False)


def test_the_ports_are_the_documented_ones(running: Running) -> None:
    assert get(f"http://127.0.0.1:{running.base}/health").status == 200
    state = get(f"http://127.0.0.1:{running.base + 4}/state").json
    ports = [region["endpoint"].rpartition(":")[2] for region in state["regions"]]
    assert ports == [str(running.base + 1), str(running.base + 2)]
    assert state["mrap"]["endpoint"].endswith(str(running.base + 3))
    assert state["edge"].endswith(str(running.base + 6))
    assert state["dns"]["address"] == f"127.0.0.1:{running.base + 7}"
    assert state["gateway"]["url"].endswith(str(running.base + 8))
    ports = [place["endpoint"].rpartition(":")[2] for place in state["gateway"]["providers"]]
    assert ports == [str(running.base + number) for number in (9, 10, 11)]


def test_env_vars_for_sam(running: Running) -> None:
    command = running.process.args
    assert isinstance(command, list)
    variables = json.loads(Path(str(command[-1])).read_text())["Parameters"]
    assert variables["S3_ENDPOINT"] == f"http://127.0.0.1:{running.base + 1}"
    assert variables["MRAP_ENDPOINT"] == f"http://127.0.0.1:{running.base + 3}"
    assert json.loads(variables["REPLICAS"])[0]["region"] == REGION
    assert all(isinstance(value, str) for value in variables.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly(number: int) -> None:
    program = Running(free_base())
    assert f"http://127.0.0.1:{program.base}" in program.wait_until_up()
    with closing(socket.create_connection(("127.0.0.1", program.base + 1))):  # a client that stays connected
        assert get(f"http://127.0.0.1:{program.base}/").status == 200
        code, out, err = program.stop(number)
    assert (code, out.strip(), "Traceback" in err) == (0, "stopping", False)
    assert "api        GET    200" in err
    with pytest.raises(ConnectionRefusedError):
        get(f"http://127.0.0.1:{program.base}/")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.com"])
def test_only_loopback(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--host", host])
    assert "is no loopback address" in capsys.readouterr().err


def test_exports_for_a_shell() -> None:
    text = exports(3000, "127.0.0.1")
    script = f'{text}\necho "$AWS_ENDPOINT_URL_S3 $AWS_REGION $AWS_PROFILE"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env={"AWS_PROFILE": "real"})
    assert done.stdout == "http://127.0.0.1:3001 eu-west-2 \n"


def test_the_banner_has_every_address(world: World) -> None:
    text = banner(world)
    for url in (world.api_url, world.mrap_url, world.controls_url, world.aws_url, *world.place_urls.values()):
        assert url in text
    assert world.edge_url in text
    assert world.edge.dns.address in text


# One world after another, in one process

_TWO_WORLDS = """
import threading, json, urllib.request, socket
from local.world import World
before = set(threading.enumerate())
ports = []
for turn in range(2):
    with World(lag_seconds=60) as world:
        connection = socket.create_connection(("127.0.0.1", int(world.api_url.rpartition(":")[2])))
        ports.append([url.rpartition(":")[2] for url in (world.api_url, world.mrap_url, world.aws_url)])
        listed = json.load(urllib.request.urlopen(world.api_url + "/list-bucket-content"))["content"]
        assert listed == ["docs/", "images/", "users/"], listed
        from local.object_store import write
        write(world.buckets["eu-west-2"], "left/over", b"x", "text/plain")
        try:
            World()
        except RuntimeError as error:
            assert "another world" in str(error)
        else:
            raise AssertionError("two at once")
left = [thread.name for thread in set(threading.enumerate()) - before if not thread.name.startswith("head")]
assert left == [], left
for port in sum(ports, []):
    try:
        socket.create_connection(("127.0.0.1", int(port))).close()
    except ConnectionRefusedError:
        continue
    raise AssertionError(f"{port} is still open")
print("clean")
"""


def test_nothing_is_left_after_close() -> None:
    done = subprocess.run([sys.executable, "-c", _TWO_WORLDS], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("clean\n", 0), done.stderr


def test_a_failed_start_leaves_nothing() -> None:
    script = """
import threading
from local.ports import Ports
from local.server import PortInUse
from local.world import World
import socket
taken = socket.create_server(("127.0.0.1", 0))
try:
    World(Ports(mrap=taken.getsockname()[1]))
except PortInUse as error:
    assert str(taken.getsockname()[1]) in str(error)
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"], threading.enumerate()
    World().close()
    print("clean")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("clean\n", 0), done.stderr


def test_ports_follow_the_base() -> None:
    ports = Ports(3000, (3001, 3002), 3003, 3004, 3005, 3006, 3007, 3008, (3009, 3010, 3011))
    assert Ports.from_base(3000) == ports


def test_threads_of_idle_connections_are_few(world: World) -> None:
    url = world.place_urls["eu-west-2"]
    before = threading.active_count()
    host, port = url.removeprefix("http://").split(":")
    for _ in range(5):
        with closing(socket.create_connection((host, int(port)))):
            pass
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


@pytest.mark.parametrize(
    ("words", "says"),
    [(["run", "--port", "65525"], "no port from 1 to 65524"), (["run", "--lag", "-1"], "no number of seconds from 0")],
)
def test_numbers_are_checked(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(words)
    assert says in capsys.readouterr().err


def docker_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    """Put a docker command on the path that runs this."""
    (tmp_path / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.parametrize(
    ("networks", "address"),
    [
        ([{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.9"}], "172.17.0.9"),
        ([{"Subnet": "fd00::/80"}, {"Subnet": "172.18.0.0/16"}], "172.18.0.1"),
    ],
)
def test_dockers_gateway(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, networks: list[dict[str, str]], address: str
) -> None:
    docker_says(monkeypatch, tmp_path, f"echo '{json.dumps([{'IPAM': {'Config': networks}}])}'")
    assert docker_gateway() == address


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo 'permission denied' >&2; exit 1", "permission denied"),
        ("""echo '[{"IPAM": {"Config": []}}]'""", "has no IPv4 network"),
    ],
)
def test_a_docker_that_cannot_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, says: str) -> None:
    docker_says(monkeypatch, tmp_path, script)
    with pytest.raises(CommandFailed, match=says):
        docker_gateway()
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
    with pytest.raises(CommandFailed, match="there is no docker command"):
        docker_gateway()
