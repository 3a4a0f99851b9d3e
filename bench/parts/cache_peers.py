"""One library of `bench/cache.py`, in a process and a venv of its own: does a case, prints the seconds it took.

    python -m bench.parts.cache_peers <library> <endpoint>

reads one case per line of its input and answers each with a line, both JSON. Imports, clients and the first connection
are made before what is timed; every case begins with an empty cache, and what it left there is checked afterwards.
Each library is used as its own documentation shows it, with the options that make it do no more than the case says.
"""

import http.client
import importlib
import json
import statistics
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, override
from urllib.parse import urlsplit

from bench.parts import objects
from bench.parts.objects import BUCKET, LARGE_BYTES, LARGE_KEY, MIB, counts, large_mark, small_key

SMALL_OBJECTS = objects.small_objects()


class Library(ABC):
    """What the cases ask of each. `get` answers the path of a local file that holds the object."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.folder = ""

    def begin(self, folder: str, *, validate: bool) -> None:
        """Begins with an empty cache in `folder`; `validate`: every hit is checked with the server."""
        self.folder = folder

    @abstractmethod
    def get(self, key: str) -> str: ...

    def end(self) -> None:  # noqa: B027 - most have nothing to let go of
        """Lets go of the cache's folder."""


class ParallelLibrary(Library):
    """One that has a parallel way of its own."""

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> list[str]:
        """All of them, in that way."""


class Ours(ParallelLibrary):
    """`nearside.cache`, which signs its requests itself."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.library = importlib.import_module("nearside.cache")

    @override
    def begin(self, folder: str, *, validate: bool) -> None:
        max_age = None if validate else 3600
        self.cache = self.library.CacheManager(cache_dir=folder, endpoint_url=self.endpoint, max_age=max_age)

    @override
    def get(self, key: str) -> str:
        return str(self.cache.get(f"s3://{BUCKET}/{key}").path)

    @override
    def get_many(self, keys: Sequence[str]) -> list[str]:
        return [str(each.path) for each in self.cache.get_many([f"s3://{BUCKET}/{key}" for key in keys])]

    @override
    def end(self) -> None:
        self.cache.close()


class Aind(Library):
    """`aind-s3-cache` with a client of the caller's: without one it makes a new one for each call."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.library = importlib.import_module("aind_s3_cache.s3_cache")
        self.client = importlib.import_module("boto3").client("s3", endpoint_url=endpoint)

    @override
    def get(self, key: str) -> str:
        uri = f"s3://{BUCKET}/{key}"
        found = self.library.get_local_path_for_resource(uri, cache_dir=self.folder, s3_client=self.client)
        return str(found.path)


class Filecache(Library):
    """fsspec's `filecache` over s3fs. Its `check_files` compares what a HEAD says of the object."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.fsspec = importlib.import_module("fsspec")
        # A listing that s3fs remembers would validate without a request.
        self.s3 = self.fsspec.filesystem("s3", endpoint_url=endpoint, use_listings_cache=False)

    @override
    def begin(self, folder: str, *, validate: bool) -> None:
        self.cache = self.fsspec.filesystem("filecache", fs=self.s3, cache_storage=folder, check_files=validate)

    @override
    def get(self, key: str) -> str:
        with self.cache.open(f"{BUCKET}/{key}") as file:
            return str(file.name)


class S3fs(ParallelLibrary):
    """s3fs's `get` of a list: no cache, only the download, over ten connections at once, as it comes."""

    options: Mapping[str, Any] = {}

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        s3fs = importlib.import_module("s3fs")
        self.s3 = s3fs.S3FileSystem(endpoint_url=endpoint, **self.options)

    @override
    def get(self, key: str) -> str:
        return self.get_many([key])[0]

    @override
    def get_many(self, keys: Sequence[str]) -> list[str]:
        paths = [f"{self.folder}/{key.replace('/', '_')}" for key in keys]
        self.s3.get([f"{BUCKET}/{key}" for key in keys], paths)
        return paths


class S3fsWide(S3fs):
    """The same over as many connections as it has downloads at once."""

    options: Mapping[str, Any] = {"config_kwargs": {"max_pool_connections": 128}}


class Cloudpathlib(Library):
    """`CloudPath.fspath`, which looks at the object's modification time at each access."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.library = importlib.import_module("cloudpathlib")

    @override
    def begin(self, folder: str, *, validate: bool) -> None:
        self.client = self.library.S3Client(endpoint_url=self.endpoint, local_cache_dir=folder)

    @override
    def get(self, key: str) -> str:
        return str(self.client.CloudPath(f"s3://{BUCKET}/{key}").fspath)


class CachedPath(Library):
    """`cached_path` over HTTP, which takes it fewer requests than S3."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.library = importlib.import_module("cached_path")

    @override
    def get(self, key: str) -> str:
        return str(self.library.cached_path(f"{self.endpoint}/{BUCKET}/{key}", cache_dir=self.folder, quiet=True))


class Boto3(Library):
    """boto3's `download_file`, as it comes."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.client = importlib.import_module("boto3").client("s3", endpoint_url=endpoint)

    @override
    def get(self, key: str) -> str:
        path = f"{self.folder}/{key.replace('/', '_')}"
        self.client.download_file(BUCKET, key, path)
        return path


class Bare(Library):
    """No library: a GET with `If-None-Match` on one connection, for what the server and its delay cost alone."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.connection = http.client.HTTPConnection(urlsplit(endpoint).netloc)
        self.etags: dict[str, str] = {}

    @override
    def get(self, key: str) -> str:
        path = f"{self.folder}/{key.replace('/', '_')}"
        conditions = {"If-None-Match": self.etags[path]} if path in self.etags else {}
        self.connection.request("GET", f"/{BUCKET}/{key}", headers=conditions)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status == 200:
            self.etags[path] = answer.headers["ETag"]
            Path(path).write_bytes(body)
        return path


LIBRARIES: dict[str, type[Library]] = {
    "ours": Ours,
    "aind-s3-cache": Aind,
    "filecache": Filecache,
    "s3fs": S3fs,
    "s3fs, 128 connections": S3fsWide,
    "cloudpathlib": Cloudpathlib,
    "cached_path": CachedPath,
    "boto3": Boto3,
    "bare": Bare,
}


def one_by_one(library: Library, keys: Sequence[str]) -> tuple[float, list[str]]:
    """The median of the seconds that each took, and the paths."""
    each = [loop(library, [key]) for key in keys]
    return statistics.median(took for took, _ in each), [paths[0] for _, paths in each]


def loop(library: Library, keys: Sequence[str]) -> tuple[float, list[str]]:
    """The seconds of all in a plain loop, and the paths."""
    return timed(lambda: [library.get(key) for key in keys])


def at_once(library: Library, keys: Sequence[str]) -> tuple[float, list[str]]:
    """The seconds of all in the library's own parallel way, and the paths."""
    if not isinstance(library, ParallelLibrary):
        raise SystemExit(f"{type(library).__name__} has no parallel way of its own")
    return timed(lambda: library.get_many(keys))


def timed(get: Callable[[], list[str]]) -> tuple[float, list[str]]:
    """The seconds that it took, and what it answered."""
    began = time.perf_counter()
    paths = get()
    return time.perf_counter() - began, paths


CASES: dict[str, Callable[[Library, Sequence[str]], tuple[float, list[str]]]] = {
    "validated hit": one_by_one,
    "fresh hit": one_by_one,
    "first get": one_by_one,
    "loop": loop,
    "at once": at_once,
    "large": loop,
}


def measure(library: Library, case: str, count: int) -> dict[str, Any]:
    """What the case took in seconds, and the requests that the server saw meanwhile, by kind. `count` is of gets."""
    hit = case.endswith("hit")
    keys = [LARGE_KEY] if case == "large" else [small_key(0 if hit else index) for index in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        library.begin(folder, validate=case == "validated hit")
        library.get(objects.WARM_UP_KEY)
        if hit:
            library.get(keys[0])
        counts(library.endpoint)
        seconds, paths = CASES[case](library, keys)
        requests = counts(library.endpoint)
        for key, path in zip(keys, paths, strict=True):
            check(key, path)
        library.end()
    return {"seconds": seconds, "requests": requests}


def check(key: str, path: str) -> None:
    """Raises ValueError unless the file is the object: a small one all of it, the large one at each MiB's beginning."""
    if key != LARGE_KEY:
        same = Path(path).read_bytes() == SMALL_OBJECTS[key].body
    else:
        marks = [large_mark(number) for number in range(LARGE_BYTES // MIB)]
        same = Path(path).stat().st_size == LARGE_BYTES and marks_in(path) == marks
    if not same:
        raise ValueError(f"{path} is not {key}")


def marks_in(path: str) -> list[bytes]:
    """The first bytes of each MiB."""
    marks = []
    with Path(path).open("rb") as file:
        for number in range(LARGE_BYTES // MIB):
            file.seek(number * MIB)
            marks.append(file.read(len(large_mark(number))))
    return marks


def main() -> None:
    """Answers the cases until the input ends."""
    library = LIBRARIES[sys.argv[1]](sys.argv[2])
    print("{}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(measure(library, asked["case"], asked["count"])), flush=True)


if __name__ == "__main__":
    main()
