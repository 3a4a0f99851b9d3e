"""What can be wrong with a provider of the gateway: down, slow, failing, throttled, cut, wrong bytes, full."""

import threading
from dataclasses import dataclass, replace

from local.faults import MAX_SLOW_SECONDS
from local.operations import address, operation
from local.s3_errors import S3Error
from local.server import CutShort, Dropped, Request, Response

_ERROR_HEADERS = (("x-amz-request-id", "LOCALFAULT"),)
# What takes room. A part or an upload that is begun may be refused too, and so may a copy.
_WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart", "UploadPartCopy")


class BadFault(ValueError):
    """A fault or a provider that is not there, or a value that it does not take; the message names it."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """How a provider does. The ratios are parts of its requests, 0 to 1."""

    down: bool = False
    slow_seconds: float = 0.0
    failing: float = 0.0
    throttled: float = 0.0
    cut: float = 0.0
    wrong_bytes: float = 0.0
    full: bool = False


FAULTS = ("down", "slow", "failing", "throttled", "cut", "wrong-bytes", "full", "heal")
_SWITCHES = ("down", "full")


class ProviderFaults:
    """The trouble of each provider, changed while it runs."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._troubles = {name: Trouble() for name in names}
        self._owed: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()

    def trouble(self, name: str) -> Trouble:
        """How the provider is."""
        return self._troubles[name]

    def set(self, name: str, fault: str, value: float | None = None) -> None:
        """Let the provider have one of FAULTS: `slow` by `value` seconds; `failing`, `throttled`, `cut` and
        `wrong-bytes` in this part of its requests (None: in all); `heal` takes every fault away. Raises BadFault."""
        if name not in self._troubles:
            raise BadFault(f"provider is {name!r}: expected one of {', '.join(self._troubles)}")
        if fault not in FAULTS:
            raise BadFault(f"fault is {fault!r}: expected one of {', '.join(FAULTS)}")
        with self._lock:
            self._owed = {key: owed for key, owed in self._owed.items() if key[0] != name}
            self._troubles[name] = Trouble() if fault == "heal" else _worse(self._troubles[name], fault, value)

    def heal(self) -> None:
        """Every provider well again."""
        for name in self._troubles:
            self.set(name, "heal")

    def close(self) -> None:
        """Let requests that are being slowed go on at once."""
        self._closing.set()

    def before(self, name: str, request: Request) -> None:
        """Let a request suffer what it must before it is carried out. Raises Dropped or S3Error."""
        trouble = self._troubles[name]
        if trouble.slow_seconds:
            self._closing.wait(trouble.slow_seconds)
        if trouble.down:
            raise Dropped
        if self._is_due(name, "throttled", trouble.throttled):
            raise S3Error(503, "SlowDown", "Please reduce your request rate.", headers=_ERROR_HEADERS)
        if self._is_due(name, "failing", trouble.failing):
            message = "We encountered an internal error. Please try again."
            raise S3Error(500, "InternalError", message, headers=_ERROR_HEADERS)
        if trouble.full and operation(request, address(request)) in _WRITES:
            # MinIO's words: https://github.com/minio/minio/blob/master/cmd/api-errors.go
            message = "Storage backend has reached its minimum free drive threshold. Please delete a few objects."
            raise S3Error(507, "XMinioStorageFull", message, headers=_ERROR_HEADERS)

    def after(self, name: str, request: Request, response: Response) -> Response:
        """What arrives of the answer to a request that was carried out. Raises Dropped, CutShort."""
        trouble = self._troubles[name]
        if trouble.down:  # since then
            raise Dropped
        if self._is_due(name, "cut", trouble.cut):
            if request.method == "GET" and response.body:
                raise CutShort(response)
            raise Dropped
        reads = request.method == "GET" and response.status in (200, 206) and response.body
        if not trouble.wrong_bytes or not reads or operation(request, address(request)) != "GetObject":
            return response
        if self._is_due(name, "wrong-bytes", trouble.wrong_bytes):
            return replace(response, body=_flipped(response.body))
        return response

    def _is_due(self, name: str, kind: str, ratio: float) -> bool:
        """Evenly, as `Faults` does: a test can count."""
        if not ratio:
            return False
        with self._lock:
            owed = self._owed.get((name, kind), 0.0) + ratio
            self._owed[name, kind] = owed - 1 if owed >= 1 else owed
            return owed >= 1


def _worse(trouble: Trouble, fault: str, value: float | None) -> Trouble:
    if fault in _SWITCHES:
        return replace(trouble, **{fault: True})
    if fault == "slow":
        if value is None or not 0 <= value <= MAX_SLOW_SECONDS:
            raise BadFault(f"seconds is {value}: expected a number from 0 to {MAX_SLOW_SECONDS:g}")
        return replace(trouble, slow_seconds=value)
    ratio = 1.0 if value is None else value
    if not 0 <= ratio <= 1:
        raise BadFault(f"ratio is {ratio:g}: expected a number from 0 to 1")
    return replace(trouble, **{fault.replace("-", "_"): ratio})  # type: ignore[arg-type]  # fields by name


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]
