"""`nearside check`: uploads, waits for replication, downloads through the MRAP, compares, and says what is wrong."""

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol

import msgspec

from nearside.errors import NearsideError
from nearside.items import Method, Presigned
from nearside.places import Place
from nearside.replicas import Absent, Denied, Finding, Findings, FindsReplicas, Held, Question, Silent, having, newest

PREFIX = ".nearside-check/"
_BODY_BYTES = 4096
_POLL_SECONDS = 1.0


class Presigns(Protocol):
    """What this needs of a presigner."""

    @property
    def places(self) -> tuple[Place, ...]: ...

    @property
    def find(self) -> FindsReplicas: ...

    def presign(self, key: str, method: Method = "GET", **options: Any) -> Presigned: ...


class Fetches(Protocol):
    """Sends one request; answers status, headers (lower case) and body. Raises Unreachable."""

    def __call__(
        self, method: str, url: str, headers: dict[str, str], body: bytes | IO[bytes] | None = None
    ) -> tuple[int, dict[str, str], bytes]: ...


class Step(msgspec.Struct, frozen=True):
    """One thing that was tried, whether it went well, and what was seen or what to do."""

    name: str
    ok: bool
    words: str


def check(
    presigner: Presigns,
    fetch: Fetches,
    *,
    wait_seconds: float = 60.0,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Step]:
    """The steps as they are done; after one that failed only the cleaning up follows."""
    key = f"{PREFIX}{secrets.token_hex(8)}"
    body = secrets.token_bytes(_BODY_BYTES)
    uploaded, version = _upload(presigner, fetch, key, body)
    try:
        yield uploaded
        if uploaded.ok:
            arrived = _arrival(presigner, key, wait_seconds, clock, sleep)
            yield arrived
            if arrived.ok:
                yield _download(presigner, fetch, key, body)
    except BaseException:  # Ctrl-C too: nothing is left behind
        if version:
            _clean(presigner, fetch, key, version)
        raise
    if version:
        yield _clean(presigner, fetch, key, version)


def _upload(presigner: Presigns, fetch: Fetches, key: str, body: bytes) -> tuple[Step, str]:
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    try:
        asked = presigner.presign(key, "PUT", content_length=len(body), checksum_sha256=checksum, expires_in=300)
        status, headers, answer = fetch("PUT", asked.url, asked.headers, body)
    except NearsideError as error:
        return Step("upload", False, str(error)), ""
    if status != 200:
        return Step("upload", False, explained(status, answer)), ""
    where = f"{len(body)} bytes by {asked.route}"
    return Step("upload", True, where), headers.get("x-amz-version-id", "null")


def _arrival(
    presigner: Presigns, key: str, wait_seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Step:
    start = clock()
    question = Question(key, None, presigner.places)
    while True:
        [findings] = presigner.find([question])
        held = newest(findings)
        passed = clock() - start
        if held and len(having(findings, held)) == len(presigner.places):
            return Step("replication", True, f"in {', '.join(findings)} after {passed:.1f} s")
        if passed >= wait_seconds or any(isinstance(finding, Denied) for finding in findings.values()):
            return Step("replication", False, f"after {passed:.1f} s: {_state(findings)}")
        sleep(_POLL_SECONDS)


def _state(findings: Findings) -> str:
    words = "; ".join(f"{name}: {_finding(finding)}" for name, finding in findings.items())
    statuses = {finding.status for finding in findings.values() if isinstance(finding, Held)}
    if "FAILED" in statuses:
        return f"{words}. S3 gave up: look at the replication role's rights on the destination, and its KMS key"
    if statuses <= {None} and any(isinstance(finding, Absent) for finding in findings.values()):
        return f"{words}. No replication rule covers this key: add one, in both buckets, with versioning on"
    return words


def _finding(finding: Finding) -> str:
    match finding:
        case Held(status=status):
            return f"has it ({status or 'no replication status'})"
        case Absent():
            return "does not have it"
        case Denied(why) | Silent(why):
            return why


def _download(presigner: Presigns, fetch: Fetches, key: str, body: bytes) -> Step:
    try:
        asked = presigner.presign(key, "GET", expires_in=300)
        status, _, answer = fetch("GET", asked.url, asked.headers)
    except NearsideError as error:
        return Step("download", False, str(error))
    if status != 200:
        return Step("download", False, explained(status, answer))
    if answer != body:
        return Step("download", False, f"{len(answer)} other bytes came back by {asked.route}")
    return Step("download", True, f"the same {len(answer)} bytes by {asked.route}")


def _clean(presigner: Presigns, fetch: Fetches, key: str, version: str) -> Step:
    """Removes the version from every place: deletes of a version are not replicated."""
    left = []
    for place in presigner.places:
        options = {} if version == "null" else {"version_id": version}
        try:
            asked = presigner.presign(key, "DELETE", place=place.name, expires_in=300, **options)
            status, _, answer = fetch("DELETE", asked.url, asked.headers)
        except NearsideError as error:
            left.append(f"{place.name}: {error}")
            continue
        if status not in (200, 204):
            left.append(f"{place.name}: {explained(status, answer)}")
    return Step("clean up", not left, f"{key} is still in {'; '.join(left)}" if left else f"{key} removed everywhere")


_ADVICE = {
    "AccessDenied": "the credentials lack the right, on the bucket or on the MRAP (its ARN and its /object/* ARN), or "
    "the MRAP's own policy refuses",
    "InvalidToken": "an MRAP takes no session of the global STS endpoint: set AWS_STS_REGIONAL_ENDPOINTS=regional",
    "ExpiredToken": "the session that signed is over: sign in again",
    "InvalidAccessKeyId": "the key id is unknown: is it of this account and partition?",
    "SignatureDoesNotMatch": "something changed the request on its way (a proxy, a header added or recoded), or the "
    "secret is wrong",
    "NoSuchKey": "the MRAP led to a region that does not have the object yet",
    "NoSuchBucket": "the bucket does not exist in that region",
    "NoSuchMultiRegionAccessPoint": "the alias is wrong, or the MRAP is still being made: see nearside mrap status",
    "RequestTimeTooSkewed": "this machine's clock is wrong",
}


def explained(status: int, body: bytes) -> str:
    """S3's XML error in a sentence, with what to look at."""
    texts = {
        name.decode(): text.decode(errors="replace")
        for name, text in re.findall(rb"<(Code|Message)>([^<]*)</", body)  # S3's errors are flat
    }
    code = texts.get("Code", "")
    advice = f". Look here: {_ADVICE[code]}" if code in _ADVICE else ""
    return f"S3 answered {status} {code}: {texts.get('Message', 'no message')}{advice}"
