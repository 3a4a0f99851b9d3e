"""The server of these tests does what it says: else they would prove nothing."""

import hashlib
import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.cache.faulty_server import Fault, FaultyServer, name_of

BODY = bytes(range(256)) * 10


@pytest.fixture
def connection(server: FaultyServer) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)) as connection:
        yield connection


def ask(connection: http.client.HTTPConnection, name: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection.request("GET", f"/{name}", headers={key.replace("_", "-"): value for key, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()


def test_it_answers_ranges_and_conditions_as_s3_does(
    server: FaultyServer, connection: http.client.HTTPConnection
) -> None:
    stored = server.put("b/k", BODY, version_id="v1", headers={"x-amz-checksum-crc32": "AAAAAA=="})
    status, headers, body = ask(connection, "b/k")
    assert (status, body == BODY) == (200, True)
    assert (headers["etag"], headers["x-amz-version-id"]) == (f'"{hashlib.md5(BODY).hexdigest()}"', "v1")
    status, part, body = ask(connection, "b/k", Range="bytes=10-19")
    assert (status, part["content-range"], body) == (206, "bytes 10-19/2560", BODY[10:20])
    assert "x-amz-checksum-crc32" not in part
    assert ask(connection, "b/k", If_None_Match=stored.etag)[0] == 304
    assert ask(connection, "b/k", If_Modified_Since=headers["last-modified"])[0] == 304
    assert ask(connection, "b/k", If_Match='"other"')[0] == 412
    assert ask(connection, "b/k", Range="bytes=9999-")[0] == 416
    status, _, body = ask(connection, "b/none")
    assert (status, b"<Code>NoSuchKey</Code>" in body) == (404, True)
    assert server.statuses("b/k") == [200, 206, 304, 304, 412, 416]


def test_its_faults_come_in_order_and_end(server: FaultyServer, connection: http.client.HTTPConnection) -> None:
    server.put("b/k", BODY)
    server.fail("b/k", Fault(status=503), times=2, skip=1)
    server.fail("b/k", Fault(chunked=True))
    answers = [ask(connection, "b/k") for _ in range(5)]
    assert [status for status, _, _ in answers] == [200, 503, 503, 200, 200]
    assert "content-length" not in answers[3][1]
    assert answers[3][2] == BODY


def test_a_cut_body_is_cut(server: FaultyServer, connection: http.client.HTTPConnection) -> None:
    server.put("b/k", BODY)
    server.fail("b/k", Fault(cut_after=100))
    with pytest.raises(http.client.IncompleteRead) as cut:
        ask(connection, "b/k")
    assert cut.value.partial == BODY[:100]
    connection.close()
    server.fail("b/k", Fault(cut_after=100, reset=True))
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask(connection, "b/k")


def test_a_server_that_is_down_drops_every_request(
    server: FaultyServer, connection: http.client.HTTPConnection
) -> None:
    server.put("b/k", BODY)
    assert ask(connection, "b/k")[0] == 200
    server.is_down = True
    with pytest.raises(ConnectionError):
        ask(connection, "b/k")
    connection.close()
    server.is_down = False
    assert ask(connection, "b/k")[0] == 200


def test_targets_name_objects_as_they_are() -> None:
    assert name_of("/b/a%3Fb%23c//d%20e") == "b/a?b#c//d e"
    assert name_of("/b/k?versionId=3") == "b/k"
    assert name_of("/page?q=1") == "page?q=1"
