"""The gateway's records and uploads in DynamoDB: leases, and requests whose answers are lost."""

import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearside.adapters.dynamodb_wire import DynamoDbWire
from nearside.adapters.gateway_records import GatewayRecords
from nearside.adapters.gateway_uploads import GatewayUploads
from nearside.errors import BadSettings, Unreachable
from nearside.gateway.errors import Busy, LeaseLost
from nearside.gateway.records import Bucket, Copy, Generation, Lease, Part, Record, Upload
from nearside.places import Place, split_endpoint
from tests.integration.catalog_table import KEY, TABLE, dynamodb, make
from tests.unit.loopback import Told, closed_port, serving

NOW = 1_800_000_000_000


def wire_to(url: str, table: str = TABLE) -> DynamoDbWire:
    return DynamoDbWire(table, "eu-west-2", lambda: KEY, url, sleep=lambda _: None)


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    """The endpoint of a DynamoDB that has the table."""
    with dynamodb() as url:
        make(url, [Place("eu-west-2", "pics")])
        yield url


@pytest.fixture
def wire(aws_url: str) -> DynamoDbWire:
    return wire_to(aws_url)


@pytest.fixture
def records(wire: DynamoDbWire) -> GatewayRecords:
    return GatewayRecords(wire)


@pytest.fixture
def uploads(wire: DynamoDbWire) -> GatewayUploads:
    return GatewayUploads(wire, TABLE)


@pytest.fixture
def bucket() -> str:
    """A bucket's name that no other test has."""
    return f"b-{secrets.token_hex(6)}"


def generation(name: str, size: int = 3) -> Generation:
    return Generation(id=name, made=NOW, size=size, etag="e" * 32, sha256="5" * 64, headers={"x-amz-meta-a": "ü"})


def lease(owner: str, seconds: int = 30, at: int = NOW) -> Lease:
    return Lease(owner, at + seconds * 1000)


def written(records: GatewayRecords, bucket: str, key: str, name: str = "g1") -> Record:
    """A record that nobody has and nothing is to be done for."""
    record = records.lease(bucket, key, lease("w"), NOW, generation(name))
    copies = {"eu": Copy(state="COMPLETED", version="v1", etag="x"), "us": Copy(why="busy", attempts=2)}
    record = msgspec.structs.replace(record, current=generation(name), copies=copies, lease=None)
    records.save(record, "w")
    return record


class Losing:
    """A proxy before the table that hands a request on and then cuts the connection instead of answering: the next
    `lose` answers of the operation named."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.lose = 0
        self.operation = ""
        self.seen: list[str] = []
        self.between: Callable[[], object] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection), connection.makefile("rb") as asked:
            while request := self._message(asked):
                operation = request.partition(b"x-amz-target: DynamoDB_20120810.")[2].partition(b"\r")[0].decode()
                self.seen.append(operation)
                answer = self._forward(request)
                if self.lose and operation == self.operation:
                    self.lose -= 1
                    self.between()
                    return
                connection.sendall(answer)

    def _forward(self, request: bytes) -> bytes:
        host, port = split_endpoint(self._target)[1].split(":")
        with socket.create_connection((host, int(port)), timeout=5) as onward, onward.makefile("rb") as told:
            onward.sendall(request)
            return self._message(told)

    @staticmethod
    def _message(file: object) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line: bytes = file.readline()  # type: ignore[attr-defined]  # a socket's file
            if not line:
                return b""
            head += line
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        return head + bytes(file.read(length))  # type: ignore[attr-defined]  # a socket's file

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def losing(aws_url: str) -> Iterator[Losing]:
    proxy = Losing(aws_url)
    yield proxy
    proxy.close()


def test_every_field_of_a_record_comes_back(records: GatewayRecords, bucket: str) -> None:
    held = records.lease(bucket, "k", lease("w"), NOW)
    assert held == Record(bucket=bucket, key="k", lease=lease("w"))
    whole = Record(
        bucket=bucket,
        key="k",
        current=generation("g1"),
        deleted=NOW - 1,
        copies={"eu": Copy(state="FAILED", why="no", attempts=3, doubt=True, multipart="m")},
        intents=(generation("g0"),),
        staged=True,
        litter=("u1",),
        lease=lease("w", 60),
        due=NOW + 5,
    )
    assert all(getattr(whole, name) for name in Record.__struct_fields__), "every field is to be tried"
    records.save(whole, "w")
    assert records.load(bucket, "k") == whole
    assert records.load(bucket, "k", eventual=True) == whole
    assert records.load(bucket, "other") is None


def test_a_lease_is_one_owners_until_it_ends(records: GatewayRecords, bucket: str) -> None:
    stands = written(records, bucket, "k")
    first = records.lease(bucket, "k", lease("a"), NOW, generation("g2"))
    assert first == msgspec.structs.replace(stands, lease=lease("a"))
    with pytest.raises(Busy):
        records.lease(bucket, "k", lease("b"), NOW + 29_999, generation("g3"))
    late = records.lease(bucket, "k", lease("b", at=NOW + 30_000), NOW + 30_000, generation("g3"))
    assert [each.id for each in late.intents] == ["g2"], "the dead one's intent, not one's own"
    with pytest.raises(LeaseLost):
        records.save(msgspec.structs.replace(first, lease=None), "a")
    now = records.load(bucket, "k")
    assert now is not None
    assert now.lease == lease("b", at=NOW + 30_000)
    assert [each.id for each in now.intents] == ["g2", "g3"]


def test_an_owner_may_prolong_its_lease(records: GatewayRecords, bucket: str) -> None:
    records.lease(bucket, "k", lease("a"), NOW, generation("g1"))
    again = records.lease(bucket, "k", lease("a", 90), NOW + 1, generation("g1"))
    assert again.intents == ()
    held = records.load(bucket, "k")
    assert held is not None
    assert (held.lease, [each.id for each in held.intents]) == (lease("a", 90), ["g1"])
    with pytest.raises(Busy):
        records.lease(bucket, "k", lease("b"), NOW + 60_000)


def test_of_eight_threads_one_has_it_at_a_time(records: GatewayRecords, bucket: str) -> None:
    """Each adds one to a number that is read under the lease and written under it."""
    rounds, threads = 6, 8
    written(records, bucket, "k")

    def add(number: int) -> int:
        waited = 0
        for turn in range(rounds):
            owner = f"{number}-{turn}"
            while True:
                try:
                    held = records.lease(bucket, "k", lease(owner), NOW, generation(owner))
                    break
                except Busy:
                    waited += 1
            assert held.current is not None
            more = msgspec.structs.replace(held.current, size=held.current.size + 1)
            records.save(msgspec.structs.replace(held, current=more, lease=None), owner)
        return waited

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(add, range(threads)))
    final = records.load(bucket, "k")
    assert final is not None
    assert final.current is not None
    assert final.current.size == 3 + rounds * threads
    assert (final.lease, final.intents) == (None, ())


def test_what_is_empty_vanishes_and_a_tombstone_expires(
    records: GatewayRecords, wire: DynamoDbWire, bucket: str
) -> None:
    def item(key: str) -> dict[str, object]:
        found: dict[str, object] = wire.call(
            "GetItem", {"Key": {"PK": {"S": f"GATEWAY#{bucket}"}, "SK": {"S": key}}}
        ).get("Item", {})
        return found

    held = records.lease(bucket, "never", lease("a"), NOW, generation("g1"))
    records.save(msgspec.structs.replace(held, lease=None), "a")
    assert item("never") == {}
    stands = written(records, bucket, "k")
    records.lease(bucket, "k", lease("a"), NOW)
    gone = {name: Copy(state="ABSENT") for name in stands.copies}
    tombstone = msgspec.structs.replace(stands, current=None, deleted=NOW, copies=gone)
    records.save(msgspec.structs.replace(tombstone, due=NOW), "a")
    assert "expires" not in item("k"), "there is something to do"
    records.lease(bucket, "k", lease("a"), NOW)
    records.save(msgspec.structs.replace(tombstone, copies={"eu": Copy(state="PENDING")}), "a")
    assert "expires" not in item("k"), "a place may have it"
    records.lease(bucket, "k", lease("a"), NOW)
    records.save(tombstone, "a")
    assert item("k")["expires"] == {"N": str(NOW // 1000 + 30 * 24 * 3600)}
    records.lease(bucket, "k", lease("a"), NOW)
    assert "expires" not in item("k"), "it must not go while somebody writes it"


def test_what_is_due_is_found_and_so_are_the_leases_of_the_dead(records: GatewayRecords, bucket: str) -> None:
    def due(now: int) -> list[str]:
        return [key for its, key in records.due(now, 1000) if its == bucket]

    for number in range(12):  # in several shards
        stands = written(records, bucket, f"due {number}")
        records.lease(bucket, stands.key, lease("a"), NOW)
        records.save(msgspec.structs.replace(stands, due=NOW + 1000 * number), "a")
    records.lease(bucket, "dead", lease("a"), NOW, generation("g1"))
    assert due(NOW + 4_000) == [f"due {number}" for number in range(5)]
    assert "dead" not in due(NOW + 29_999)
    assert "dead" in due(NOW + 30_000)
    records.lease(bucket, "due 0", lease("b"), NOW)
    assert "due 0" not in due(NOW + 4_000), "somebody has it"
    held = records.load(bucket, "due 0")
    assert held is not None
    assert held.due == NOW
    records.save(msgspec.structs.replace(held, lease=None, due=None), "b")
    assert "due 0" not in due(NOW + 10**9)
    assert len(records.due(NOW + 10**9, 3)) == 3


def test_a_page_is_in_the_order_of_utf8(records: GatewayRecords, bucket: str) -> None:
    keys = ["a", "a/", "a/1", "a/\U0001f600", "a/\uffff", "a/é", "a0", "b", "b" * 1024]
    for key in keys:
        written(records, bucket, key)

    def page(prefix: str, after: str, limit: int) -> tuple[list[str], bool]:
        found, more = records.page(bucket, prefix, after, limit)
        return [each.key for each in found], more

    ordered = sorted(keys, key=str.encode)
    assert page("", "", 100) == (ordered, False)
    assert page("", "", 9) == (ordered, False)
    assert page("", "", 8) == (ordered[:8], True)
    assert page("a/", "", 3) == (["a/", "a/1", "a/é"], True)
    assert page("a/", "a/é", 3) == (["a/\uffff", "a/\U0001f600"], False)
    assert page("a/", "a", 2) == (["a/", "a/1"], True)
    assert page("a/", "b", 2) == ([], False)
    assert page("a/", "a/\U0010ffff", 2) == ([], False)
    assert page("", "b" * 1023 + "\U0010ffff" * 9, 5) == ([], False)
    assert page("c", "", 5) == ([], False)


@given(st.sets(st.text("ab/\0é\U0001f600", min_size=1, max_size=3), max_size=6), st.text("ab/", max_size=2), st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_hold_every_key_once(records: GatewayRecords, keys: set[str], prefix: str, data: st.DataObject) -> None:
    bucket = f"p-{secrets.token_hex(6)}"
    for key in keys:
        records.lease(bucket, key, lease("a"), NOW)
    limit = data.draw(st.integers(1, 4))
    found: list[str] = []
    more = True
    while more:
        page, more = records.page(bucket, prefix, found[-1] if found else "", limit)
        assert len(page) <= limit
        assert page or not more
        found += [each.key for each in page]
    assert found == sorted(key for key in keys if key.startswith(prefix))


def test_buckets_are_made_once(records: GatewayRecords, bucket: str) -> None:
    assert records.bucket(bucket) is None
    assert records.put_bucket(Bucket(bucket, 5))
    assert not records.put_bucket(Bucket(bucket, 6))
    assert records.bucket(bucket) == Bucket(bucket, 5)
    assert Bucket(bucket, 5) in records.buckets()
    records.remove_bucket(bucket)
    records.remove_bucket(bucket)
    assert records.bucket(bucket) is None


def test_a_lease_whose_answer_was_lost_is_ours(losing: Losing, records: GatewayRecords, bucket: str) -> None:
    stands = written(records, bucket, "k")
    losing.operation, losing.lose = "UpdateItem", 1
    held = GatewayRecords(wire_to(losing.url)).lease(bucket, "k", lease("a"), NOW, generation("g2"))
    assert losing.seen == ["UpdateItem", "UpdateItem"]
    assert held == msgspec.structs.replace(stands, lease=lease("a"))
    stored = records.load(bucket, "k")
    assert stored is not None
    assert [each.id for each in stored.intents] == ["g2"], "put down once"


@pytest.mark.parametrize("given_back", [True, False])
def test_a_save_whose_answer_was_lost_was_saved(
    losing: Losing, records: GatewayRecords, bucket: str, given_back: bool
) -> None:
    stands = written(records, bucket, "k")
    records.lease(bucket, "k", lease("a"), NOW)
    losing.operation, losing.lose = "PutItem", 1
    new = msgspec.structs.replace(stands, current=generation("g2"), lease=None if given_back else lease("a"))
    GatewayRecords(wire_to(losing.url)).save(new, "a")
    assert records.load(bucket, "k") == new


def test_a_save_whose_answer_was_lost_is_known_under_the_next_lease(
    losing: Losing, records: GatewayRecords, bucket: str
) -> None:
    stands = written(records, bucket, "k")
    records.lease(bucket, "k", lease("a"), NOW)
    losing.operation, losing.lose = "PutItem", 1
    losing.between = lambda: records.lease(bucket, "k", lease("b"), NOW)
    GatewayRecords(wire_to(losing.url)).save(msgspec.structs.replace(stands, current=generation("g2")), "a")
    stored = records.load(bucket, "k")
    assert stored is not None
    assert (stored.lease, stored.current) == (lease("b"), generation("g2"))


def test_a_save_that_came_too_late_is_lost_even_when_it_is_sent_twice(
    losing: Losing, records: GatewayRecords, bucket: str
) -> None:
    stands = written(records, bucket, "k")
    records.lease(bucket, "k", lease("a"), NOW)
    records.lease(bucket, "k", lease("b"), NOW + 40_000)
    losing.operation, losing.lose = "PutItem", 1
    with pytest.raises(LeaseLost):
        GatewayRecords(wire_to(losing.url)).save(msgspec.structs.replace(stands, current=None), "a")
    stored = records.load(bucket, "k")
    assert stored is not None
    assert stored.current == stands.current


def test_a_removal_whose_answer_was_lost_was_removed(losing: Losing, records: GatewayRecords, bucket: str) -> None:
    held = records.lease(bucket, "k", lease("a"), NOW)
    losing.operation, losing.lose = "DeleteItem", 1
    GatewayRecords(wire_to(losing.url)).save(msgspec.structs.replace(held, lease=None), "a")
    assert records.load(bucket, "k") is None
    with pytest.raises(LeaseLost):
        records.save(msgspec.structs.replace(held, lease=None), "a")


def test_a_bucket_whose_answer_was_lost_was_made(losing: Losing, bucket: str) -> None:
    losing.operation, losing.lose = "PutItem", 1
    records = GatewayRecords(wire_to(losing.url))
    assert records.put_bucket(Bucket(bucket, 5))
    assert not records.put_bucket(Bucket(bucket, 5))
    records.remove_bucket(bucket)


def _upload(bucket: str, key: str, name: str) -> Upload:
    return Upload(bucket=bucket, key=key, id=name, generation=generation("g"))


def _part(number: int, staged: str) -> Part:
    return Part(number=number, size=5, etag="e", sha256="s", made=NOW, staged=staged, copies={"eu": Copy()})


def test_uploads_begin_are_listed_and_end_once(uploads: GatewayUploads, bucket: str) -> None:
    made = [_upload(bucket, key, name) for key in ("a", "a/b", "é" * 512) for name in ("1" * 28, "2" * 28)]
    for each in made:
        uploads.begin(each)
    assert uploads.upload(bucket, "a", "1" * 28) == made[0]
    assert uploads.upload(bucket, "a", "3") is None
    assert uploads.uploads(bucket, "", "", 10) == (made, False)
    assert uploads.uploads(bucket, "", "", 3) == (made[:3], True)
    assert uploads.uploads(bucket, "", f"a/b\0{'1' * 28}", 3) == (made[3:], False)
    assert uploads.uploads(bucket, "", "a", 2) == (made[2:4], True), "a key alone stands for all of its uploads"
    assert uploads.uploads(bucket, "a/", "", 3) == (made[2:4], False)
    assert uploads.uploads(bucket, "é" * 500, "", 1) == (made[4:5], True)
    assert uploads.end(made[0])
    assert not uploads.end(made[0])
    assert uploads.upload(bucket, "a", "1" * 28) is None
    assert uploads.uploads(bucket, "", "", 10) == (made[1:], False)


def test_an_upload_is_ended_by_one(uploads: GatewayUploads, bucket: str) -> None:
    uploads.begin(_upload(bucket, "k", "u"))
    with ThreadPoolExecutor(8) as pool:
        ended = list(pool.map(lambda _: uploads.end(_upload(bucket, "k", "u")), range(8)))
    assert ended.count(True) == 1


@pytest.mark.parametrize("operation", ["UpdateItem", "DeleteItem"])
def test_an_end_whose_answer_was_lost_is_ours(losing: Losing, bucket: str, operation: str) -> None:
    uploads = GatewayUploads(wire_to(losing.url), TABLE)
    uploads.begin(_upload(bucket, "k", "u"))
    losing.operation, losing.lose = operation, 1
    assert uploads.end(_upload(bucket, "k", "u"))
    assert not uploads.end(_upload(bucket, "k", "u"))


def test_parts_are_kept_by_number_and_tell_what_they_replace(uploads: GatewayUploads) -> None:
    upload_id = secrets.token_hex(8)
    for number in (10_000, 2, 1):
        assert uploads.put_part(upload_id, _part(number, f"s{number}")) is None
    assert uploads.put_part(upload_id, _part(2, "other")) == _part(2, "s2")
    assert uploads.put_part(upload_id, _part(2, "third")) == _part(2, "other")
    assert [each.number for each in uploads.parts(upload_id)] == [1, 2, 10_000]
    assert [each.number for each in uploads.parts(upload_id, after=1, limit=1)] == [2]
    uploads.remove_parts(upload_id, [2, 3, *range(100, 140)])
    assert [each.number for each in uploads.parts(upload_id)] == [1, 10_000]


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_part_whose_answer_was_lost_still_tells_what_it_replaced(losing: Losing, lost: int) -> None:
    uploads, upload_id = GatewayUploads(wire_to(losing.url), TABLE), secrets.token_hex(8)
    uploads.put_part(upload_id, _part(1, "first"))
    losing.operation, losing.lose = "UpdateItem", lost
    assert uploads.put_part(upload_id, _part(1, "second")) == _part(1, "first")
    assert uploads.parts(upload_id) == [_part(1, "second")]


def test_a_part_that_was_replaced_meanwhile_does_not_come_back(losing: Losing, uploads: GatewayUploads) -> None:
    upload_id = secrets.token_hex(8)
    replaced = []
    losing.operation, losing.lose = "UpdateItem", 1
    losing.between = lambda: replaced.append(uploads.put_part(upload_id, _part(1, "second")))
    assert GatewayUploads(wire_to(losing.url), TABLE).put_part(upload_id, _part(1, "first")) is None
    assert replaced == [_part(1, "first")]
    assert uploads.parts(upload_id) == [_part(1, "second")]


def test_throttling_is_waited_out_and_its_end_is_told(bucket: str) -> None:
    def refusal(kind: str, status: int = 400) -> Told:
        return Told(status, body=json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{kind}"}).encode())

    answers = [refusal("ThrottlingException"), Told(503, body=b"<html>"), Told(body=b"{}")]
    with serving(lambda _: answers.pop(0)) as server:
        assert GatewayRecords(wire_to(server.url)).load(bucket, "k") is None
    with serving(lambda _: refusal("ProvisionedThroughputExceededException")) as server:
        with pytest.raises(Unreachable, match="the catalog answered ProvisionedThroughputExceededException"):
            GatewayRecords(wire_to(server.url)).load(bucket, "k")
        assert len(server.asked) == 4
    with serving(lambda _: refusal("ValidationException")) as server:
        with pytest.raises(Unreachable, match="ValidationException"):
            GatewayRecords(wire_to(server.url)).load(bucket, "k")
        assert len(server.asked) == 1


def test_a_table_that_is_not_there_and_a_closed_port_are_told_apart(aws_url: str, bucket: str) -> None:
    with pytest.raises(BadSettings, match="ResourceNotFoundException"):
        GatewayRecords(wire_to(aws_url, "nope")).load(bucket, "k")
    with closed_port() as url, pytest.raises(Unreachable, match="cannot be reached"):
        GatewayRecords(wire_to(url)).load(bucket, "k")
    with closed_port() as url, pytest.raises(Unreachable, match="cannot be reached"):
        GatewayRecords(wire_to(url)).due(NOW, 5)
