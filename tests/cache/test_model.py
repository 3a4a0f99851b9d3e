"""Any order of anything: what comes out of the cache is always one version as the server had it, never a mixture."""

import os
import random
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nearside.cache import CacheManager, LocalizedResource
from nearside.caching.errors import MissingObject, NotCached, ObjectChanged, UnreachableObject
from nearside.errors import NearsideError
from tests.cache.faulty_server import Fault, FaultyServer, serving
from tests.cache.looking import HASTY, root_of, sha256, unfinished

OBJECTS = 3
which = st.integers(0, OBJECTS - 1)
sizes = st.sampled_from([0, 1, 1_000, 40_000])


class Cached(RuleBasedStateMachine):
    """One server with a few objects, and one cache. `had` is every version that the server ever had of each, in
    order, `fetched` what each get gave last: that is what is served offline."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.server: FaultyServer = self.stack.enter_context(serving())
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()), "cache")
        self.had: list[list[str]] = [[] for _ in range(OBJECTS)]
        self.fetched: list[str | None] = [None] * OBJECTS
        self.in_use: list[tuple[LocalizedResource, str]] = []
        self.count = 0

    def teardown(self) -> None:
        self.in_use.clear()
        self.stack.close()

    def cache(self) -> CacheManager:
        return CacheManager(
            self.folder,
            endpoint_url=self.server.url,
            region="eu-west-2",
            anonymous=True,
            parallel_over=30_000,
            patience=HASTY,
        )

    def name(self, which: int) -> str:
        return f"box/{which}.bin"

    def newest(self, which: int) -> str | None:
        try:
            return self.server.newest(self.name(which)).sha256
        except KeyError:
            return None

    @initialize()
    def first_versions(self) -> None:
        for each in range(OBJECTS):
            self.put(each, 1_000, True)

    @rule(which=which, size=sizes, tagged=st.booleans())
    def put(self, which: int, size: int, tagged: bool) -> None:
        """A version whose ETag is its MD5, or is none (as of a multipart upload)."""
        self.count += 1
        body = random.Random(self.count).randbytes(size)
        self.server.put(self.name(which), body, etag=None if tagged else f'"{self.count}-2"')
        self.had[which].append(sha256(body))

    @rule(which=which)
    def delete(self, which: int) -> None:
        self.server.delete(self.name(which))

    @rule(which=which, after=st.sampled_from([0, 1, 500, 20_000]), size=sizes, reset=st.booleans())
    def cut_and_replace(self, which: int, after: int, size: int, reset: bool) -> None:
        """The next answer is cut, and then there is another version."""
        self.server.fail(
            self.name(which), Fault(cut_after=after, reset=reset, after=lambda: self.put(which, size, False))
        )

    @rule(which=which, after=st.sampled_from([0, 1, 500, 20_000]), times=st.integers(1, 3))
    def cut(self, which: int, after: int, times: int) -> None:
        self.server.fail(self.name(which), Fault(cut_after=after), times=times)

    @rule(
        which=which,
        fault=st.sampled_from(
            [
                Fault(status=503),
                Fault(drop=True),
                Fault(chunked=True),
                Fault(no_ranges=True),
                Fault(no_ranges=True, cut_after=700),
                Fault(no_conditions=True),
            ]
        ),
    )
    def trouble(self, which: int, fault: Fault) -> None:
        self.server.fail(self.name(which), fault)

    @rule()
    def down(self) -> None:
        self.server.is_down = True

    @rule()
    def up(self) -> None:
        self.server.is_down = False

    @rule(which=which, force=st.booleans(), keep=st.booleans())
    def get(self, which: int, force: bool, keep: bool) -> None:
        before, count = self.newest(which), len(self.had[which])
        try:
            got = self.cache().get(f"s3://{self.name(which)}", force=force)
        except MissingObject:
            assert before is None
            assert not self.server.is_down
        except (UnreachableObject, ObjectChanged):
            pass  # there is no end of trouble
        except NearsideError as error:
            raise AssertionError(f"{error!r} is no error that these faults explain") from error
        else:
            digest = sha256(got.path.read_bytes())
            assert not self.server.is_down, "nobody said that it is valid"
            assert digest in {before, *self.had[which][count:]}, "no version that was the newest during the call"
            assert (got.sha256, got.size) == (digest, got.path.stat().st_size)
            self.fetched[which] = digest
            if keep:
                self.in_use.append((got, digest))

    @rule(which=which)
    def get_offline(self, which: int) -> None:
        self._serves(which, offline=True)

    @rule(which=which)
    def get_within_max_age(self, which: int) -> None:
        if self.fetched[which] is not None:
            self._serves(which, max_age=1_000_000)

    @rule(which=which)
    def get_stale(self, which: int) -> None:
        """When the server is down, what was last fetched."""
        if self.server.is_down and self.fetched[which] is not None:
            self._serves(which, stale_if_error=True)

    def _serves(self, which: int, **terms: bool | float) -> None:
        asked = len(self.server.asked)
        try:
            got = self.cache().get(f"s3://{self.name(which)}", **terms)  # type: ignore[arg-type]  # one of its terms
        except NotCached:
            assert self.fetched[which] is None
        else:
            assert sha256(got.path.read_bytes()) == self.fetched[which]
        if "stale_if_error" not in terms:
            assert len(self.server.asked) == asked, "it asked though it should not"

    @rule(which=which, how=st.sampled_from(["other bytes", "cut", "gone", "no entry", "half an entry"]))
    def damage(self, which: int, how: str) -> None:
        if self.fetched[which] is None:
            return
        path = self.cache().get(f"s3://{self.name(which)}", offline=True).path
        if any(held.path == path for held, _ in self.in_use):
            return  # whoever reads it would see it
        entry = path.parents[1] / "entry.json"
        data = path.read_bytes()
        if how == "no entry":
            entry.unlink()
        elif how == "half an entry":
            entry.write_bytes(entry.read_bytes()[:-20])
        elif how == "gone":
            path.unlink()
        elif data:
            path.chmod(0o600)
            path.write_bytes(data[:-1] if how == "cut" else bytes(byte ^ 1 for byte in data))
            os.utime(path, ns=(1, 1))
        else:
            return
        self.fetched[which] = None

    @rule()
    def use_ends(self) -> None:
        self.in_use.clear()

    @rule(to=st.sampled_from([0, 10_000, 100_000]))
    def evict(self, to: int) -> None:
        self._aged()
        self.cache().evict(to)
        self._look()

    @rule()
    def clear(self) -> None:
        self._aged()
        self.cache().clear()
        self._look()
        held = {held.uri for held, _ in self.in_use}
        for each in range(OBJECTS):
            assert self.fetched[each] is None or f"s3://{self.name(each)}" in held

    @rule()
    def clear_what_is_new(self) -> None:
        """Nothing is so old."""
        assert self.cache().clear(older_than=1_000_000) == 0

    @precondition(lambda self: not self.in_use)
    @rule()
    def remove_the_folder(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.fetched = [None] * OBJECTS

    def _aged(self) -> None:
        """Nothing was used within the time of grace."""
        long_ago = time.time() - 10_000
        for each in (root_of(self.folder) / "objects").glob("??/*"):
            for path in (each, *(inside for inside in each.iterdir() if inside.is_dir())):
                os.utime(path, (long_ago, long_ago))

    def _look(self) -> None:
        """What eviction took is not there any more; that of others is as it was."""
        left = {found.entry.uri: found.entry.sha256 for found in self.cache().entries()}
        for each in range(OBJECTS):
            uri = f"s3://{self.name(each)}"
            if uri not in left:
                self.fetched[each] = None
            elif self.fetched[each] is not None:
                assert left[uri] == self.fetched[each]

    @invariant()
    def files_in_use_are_as_they_were(self) -> None:
        for held, digest in self.in_use:
            assert sha256(held.path.read_bytes()) == digest

    @invariant()
    def nothing_unfinished_is_left(self) -> None:
        assert unfinished(self.folder) == []

    @invariant()
    def every_entry_is_a_version_that_was(self) -> None:
        for found in self.cache().entries():
            which = int(found.entry.uri.removeprefix("s3://box/").removesuffix(".bin"))
            assert sha256(found.path.read_bytes()) in self.had[which]


TestCached = Cached.TestCase
TestCached.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
