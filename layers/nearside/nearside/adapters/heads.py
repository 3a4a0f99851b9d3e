"""HEADs of objects in many places at once, by presigned URLs over kept-alive connections, without boto3."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from email.utils import parsedate_to_datetime

import urllib3

from nearside import signing
from nearside.adapters.http import send, why
from nearside.errors import Unreachable
from nearside.places import Place
from nearside.replicas import Absent, Denied, Finding, Findings, Held, Question, Silent

PARALLEL = 32
CONNECT_SECONDS = 1.0
READ_SECONDS = 2.0
DEADLINE_SECONDS = 12.0  # for all questions of one request, within API Gateway's 30 s
URL_SECONDS = 60  # how long a HEAD's own URL is valid


class Heads:
    """Asks places for objects: call it with questions, get one `Findings` each, in order.

    A place that does not answer within 3 s, or at all within 12 s of the call, is `Silent`; one that could not be
    reached is not asked again in the same call, so that a thousand questions do not wait for it a thousand times.
    """

    def __init__(self, credentials: Callable[[], signing.Credentials]) -> None:
        self._credentials = credentials
        self._http = urllib3.PoolManager(
            maxsize=PARALLEL,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
            retries=False,
        )
        self._threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="head")

    def __call__(self, questions: Sequence[Question]) -> list[Findings]:
        now = time.time()
        credentials = self._credentials()
        places = {place.name: place for question in questions for place in question.places}
        signers = {name: signing.V4(credentials, now, place.region) for name, place in places.items()}
        down: dict[str, Silent] = {}

        def ask(question: Question, place: Place) -> Finding:
            if place.name in down:
                return down[place.name]
            try:
                return _read(self._asked(question, place, signers[place.name]))
            except Unreachable as error:
                return down.setdefault(place.name, Silent(str(error)))

        tasks = [
            {place.name: self._threads.submit(ask, question, place) for place in question.places}
            for question in questions
        ]
        wait([future for row in tasks for future in row.values()], timeout=DEADLINE_SECONDS)
        return [{name: _finding(future) for name, future in row.items()} for row in tasks]

    def _asked(self, question: Question, place: Place, signer: signing.Signer) -> urllib3.BaseHTTPResponse:
        query = {"versionId": question.version_id} if question.version_id else {}
        url = signer.presign("HEAD", place.base, question.key, URL_SECONDS, query=query)
        try:
            try:
                return send(self._http, "HEAD", url)
            except urllib3.exceptions.ProtocolError:
                # A connection kept over a Lambda's freeze may have been closed by the other side: once more, at once.
                return send(self._http, "HEAD", url)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(why(error)) from error


def _read(answer: urllib3.BaseHTTPResponse) -> Finding:
    """A HEAD's answer by its status; only 404 means absent
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html)."""
    headers = answer.headers
    if answer.status == 200:
        modified = headers.get("last-modified")
        return Held(
            version_id=headers.get("x-amz-version-id"),
            etag=headers.get("etag", "").strip('"'),
            last_modified=parsedate_to_datetime(modified).timestamp() if modified else 0.0,
            status=headers.get("x-amz-replication-status"),
        )
    if answer.status == 404:
        return Absent(deleted=headers.get("x-amz-delete-marker") == "true")
    if answer.status in (401, 403):
        return Denied(f"refused ({answer.status})")
    return Silent(f"answered {answer.status}")


def _finding(future: Future[Finding]) -> Finding:
    if future.done():
        return future.result()
    future.cancel()
    return Silent(f"did not answer within {DEADLINE_SECONDS:.0f} s")
