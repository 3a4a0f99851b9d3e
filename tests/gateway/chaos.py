"""What a chaos run is made of: clients that know what to expect, processes that are killed, and places that fail."""

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

from local import ROOT
from local.providers import NAMES
from local.world import World
from tests.gateway.expecting import Expected, Value, Wrong, check_listing

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEYS = 24  # a client
SHARED = tuple(f"shared/{number}" for number in range(6))
VERIFIED_RATIO = 0.5  # of the reads
QUARANTINE_SECONDS = 8.0  # a lease that nobody gives back


class Process:
    """A process of `hurried.py`, killed and started again."""

    def __init__(self, arguments: list[str], env: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, str(ROOT / "tests" / "gateway" / "hurried.py"), *arguments]
        self._env = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'layers' / 'nearside'}", **env}
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self.kills = 0

    def start(self) -> None:
        """Returns when it is ready."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command, env=self._env, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"it did not start: {self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """As `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
            self.kills += 1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Shared:
    """What the clients have in common."""

    bucket: str
    operations: int
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    done: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    written: dict[str, set[Value]] = field(default_factory=lambda: {key: {None} for key in SHARED})

    @property
    def count(self) -> int:
        return sum(self.done.values())


class Client(threading.Thread):
    """One client: it has keys of its own, of which it knows what to expect, and some that all write."""

    def __init__(self, number: int, shared: Shared, s3: "S3Client", verifying: "S3Client", faults: "Faults") -> None:
        super().__init__(name=f"client {number}", daemon=True)
        self.number = number
        self.shared = shared
        self.s3 = s3
        self.verifying = verifying
        self.faults = faults
        self.random = random.Random(number)
        self.expected = {f"c{number}/{index % 3}/k{index} ü": Expected() for index in range(KEYS)}
        self.of_parts: set[Value] = set()
        self._quarantine: dict[str, float] = {}
        self._serial = 0

    def run(self) -> None:
        acts: list[tuple[int, Callable[[], None]]] = [
            (26, self.put), (30, self.get), (12, self.delete), (8, self.copy), (4, self.multipart), (8, self.list),
            (4, self.put_shared), (1, self.delete_shared), (7, self.get_shared),
        ]  # fmt: skip
        weights, methods = zip(*acts, strict=True)
        while self.shared.count < self.shared.operations and not self.shared.stop.is_set():
            (act,) = self.random.choices(methods, weights)
            try:
                act()
            except Exception as error:  # noqa: BLE001 - a thread's own would be lost
                self.shared.wrong.append(f"{self.name}, {act.__name__}: {error!r}")
                self.shared.stop.set()

    def ask(self, what: str, method: str, **asked: Any) -> tuple[int, Any]:
        """Status and answer; status 0 when there was no answer, and -1 when it was never sent."""
        s3 = self.verifying if what == "verified get" else self.s3
        try:
            answer = getattr(s3, method)(Bucket=self.shared.bucket, **asked)
            if "Body" in answer:
                answer["Body"] = answer["Body"].read()
        except EndpointConnectionError:
            time.sleep(0.1)
            return -1, None
        except ClientError as error:
            status = int(error.response["ResponseMetadata"]["HTTPStatusCode"])
            code = error.response["Error"]["Code"]
            if "see the log" in str(error) or status in (400, 403, 405, 501):
                raise Wrong(f"{method} {asked.get('Key')}: {error}") from error
            self.tell(what, f"{status} {code}")
            return status, None
        except (BotoCoreError, OSError):
            self.tell(what, "no answer")
            return 0, None
        self.tell(what, "2xx")
        return 200, answer

    def tell(self, what: str, answer: str) -> None:
        with self.shared.lock:
            self.shared.done[what] += 1
            self.shared.answers[answer] += 1

    def key(self) -> str:
        """One of its own that nobody may still have the lease of."""
        now = time.monotonic()
        free = [key for key in self.expected if self._quarantine.get(key, 0.0) < now]
        return self.random.choice(free or list(self.expected))

    def value(self) -> bytes:
        """One that was never written before."""
        self._serial += 1
        head = f"{self.number}-{self._serial}|".encode()
        return head + self.random.randbytes(self.random.choice((0, 10, 500, 3000, 40_000)))

    def wrote(self, key: str, status: int, *values: Value) -> None:
        """Takes the answer of a write into account."""
        if status == 200:
            self.expected[key].answered(*values) if len(values) == 1 else self.expected[key].unanswered(*values)
        elif status >= 0:
            self._quarantine[key] = time.monotonic() + QUARANTINE_SECONDS
            if status == 0 or status >= 500:
                self.expected[key].unanswered(*values)

    def put(self) -> None:
        key, value = self.key(), self.value()
        status, _ = self.ask("put", "put_object", Key=key, Body=value)
        self.wrote(key, status, value)

    def delete(self) -> None:
        key = self.key()
        status, _ = self.ask("delete", "delete_object", Key=key)
        self.wrote(key, status, None)

    def get(self) -> None:
        self.read(self.key())

    def read(self, key: str) -> None:
        """Holds what is read against what is expected."""
        known, found = self.found(key)
        if known:
            self.expected[key].read(found)

    def found(self, key: str) -> tuple[bool, Value]:
        """Whether it is known what there is, and what."""
        verified = self.random.random() < VERIFIED_RATIO
        may_be_wrong = not verified and self.faults.wrong_bytes()
        status, answer = self.ask("verified get" if verified else "get", "get_object", Key=key)
        if status == 404:
            return True, None
        if status != 200 or may_be_wrong or (not verified and self.faults.wrong_bytes()):
            return False, None  # wrong bytes are found out by who asks for it only
        return True, answer["Body"]

    def copy(self) -> None:
        source, key = self.key(), self.key()
        state = self.expected[source]
        (value, *more) = state.possible
        if source == key or more or value is None or value in self.of_parts:
            return
        where = {"Bucket": self.shared.bucket, "Key": source}
        status, _ = self.ask("copy", "copy_object", Key=key, CopySource=where)
        if status == 404:
            raise Wrong(f"{source} was not found to be copied, and it can only be {value[:24]!r}")
        self.wrote(key, status, value)

    def multipart(self) -> None:
        key, parts = self.key(), [self.value() for _ in range(self.random.randrange(1, 4))]
        status, answer = self.ask("multipart", "create_multipart_upload", Key=key)
        if status != 200:
            return
        upload: dict[str, Any] = {"Key": key, "UploadId": answer["UploadId"]}
        etags = []
        for number, part in enumerate(parts, 1):
            status, answer = self.ask("multipart", "upload_part", **upload, PartNumber=number, Body=part)
            if status == 404:
                raise Wrong(f"the upload of {key} is gone")
            if status != 200:
                self.ask("multipart", "abort_multipart_upload", **upload)
                return
            etags.append({"PartNumber": number, "ETag": answer["ETag"]})
        status, _ = self.ask("multipart", "complete_multipart_upload", **upload, MultipartUpload={"Parts": etags})
        value = b"".join(parts)
        self.of_parts.add(value)
        if status == 404:
            raise Wrong(f"the upload of {key} is gone")
        self.wrote(key, status, value)

    def list(self) -> None:
        prefix = f"c{self.number}/"
        status, answer = self.ask("list", "list_objects_v2", Prefix=prefix)
        if status == 200:
            check_listing(self.expected, {each["Key"]: each["Size"] for each in answer.get("Contents", [])})

    def put_shared(self) -> None:
        key, value = self.random.choice(SHARED), self.value()
        with self.shared.lock:
            self.shared.written[key].add(value)
        self.ask("put", "put_object", Key=key, Body=value)

    def delete_shared(self) -> None:
        self.ask("delete", "delete_object", Key=self.random.choice(SHARED))

    def get_shared(self) -> None:
        key = self.random.choice(SHARED)
        known, found = self.found(key)
        if known and found not in self.shared.written[key]:
            raise Wrong(f"{key} is {found!r:.40}, which nobody wrote there")


class Faults(threading.Thread):
    """Gives places one trouble after another, mostly leaving one of them well, and kills the processes in turn."""

    KINDS: tuple[tuple[str, float | None], ...] = (
        ("down", None), ("cut", 0.3), ("wrong-bytes", 0.5), ("failing", 0.5), ("slow", 0.2), ("full", None),
        ("throttled", 0.5), ("cut", 1.0), ("failing", 1.0), ("slow", 0.5),
    )  # fmt: skip

    def __init__(self, world: World, processes: list[Process], *, pause: float, kill_every: float) -> None:
        super().__init__(name="faults", daemon=True)
        self._world = world
        self._processes = processes
        self._pause = pause
        self._kill_every = kill_every
        self._random = random.Random(11)
        self._over = threading.Event()
        self._wrong_until = 0.0
        self.given: Counter[str] = Counter()
        self.failed: list[str] = []

    def wrong_bytes(self) -> bool:
        """Whether a place gave wrong bytes a moment ago."""
        return time.monotonic() < self._wrong_until

    def run(self) -> None:
        next_kill = time.monotonic() + self._kill_every
        while not self._over.wait(self._pause):
            self._trouble()
            if time.monotonic() > next_kill:
                process = self._random.choice(self._processes)
                try:
                    process.kill()
                    self._over.wait(self._random.choice((0.0, 0.5)))
                    process.start()
                except Exception as error:  # noqa: BLE001 - a thread's own would be lost
                    self.failed.append(repr(error))
                    return
                next_kill = time.monotonic() + self._kill_every

    def _trouble(self) -> None:
        faults = self._world.providers.faults
        name = self._random.choice(NAMES)
        if self._random.random() < 0.4:
            faults.set(name, "heal")
        else:
            kind, value = self.KINDS[sum(self.given.values()) % len(self.KINDS)]
            if kind == "wrong-bytes":
                self._wrong_until = float("inf")
            faults.set(name, kind, value)
            self.given[kind] += 1
        troubled = [each for each in NAMES if faults.trouble(each) != faults.trouble(each).__class__()]
        if len(troubled) == len(NAMES) and self._random.random() < 0.8:
            faults.set(self._random.choice(NAMES), "heal")
        if self._wrong_until == float("inf") and not any(faults.trouble(each).wrong_bytes for each in NAMES):
            self._wrong_until = time.monotonic() + 1.0

    def end(self) -> None:
        """Every place well, every process there."""
        self._over.set()
        self.join(30)
        self._world.providers.faults.heal()
