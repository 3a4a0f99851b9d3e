"""JSON, text and bytes, from S3, the web and this machine, with the meanings of `aind-s3-cache`."""

import gzip
import json
from pathlib import Path

import pytest

from nearside import cache as functions
from nearside.cache import CacheManager, LocalizedResource
from nearside.errors import NearsideError
from tests.cache.faulty_server import FaultyServer

URI = "s3://box/data.json"
NAME = "box/data.json"


def test_get_json_reads_an_object(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, '{"a": [1, "ü"]}'.encode())
    assert cache.get_json(URI) == {"a": [1, "ü"]}


@pytest.mark.parametrize("text", ["[1]", '"x"', "3", "null", "true"])
def test_get_json_of_anything_but_an_object_is_a_type_error_unless_any_type_is_asked_for(
    server: FaultyServer, cache: CacheManager, text: str
) -> None:
    server.put(NAME, text.encode())
    with pytest.raises(TypeError) as wrong:
        cache.get_json(URI)
    assert isinstance(wrong.value, NearsideError)
    assert cache.get_json(URI, any_type=True) == json.loads(text)


@pytest.mark.parametrize("body", [b"", b"{", b"not json", b'{"a": 1} {"b": 2}', b"\xff\xfe\x00"])
def test_what_is_not_json_is_a_value_error_that_names_the_uri(
    server: FaultyServer, cache: CacheManager, body: bytes
) -> None:
    server.put(NAME, body)
    with pytest.raises(ValueError, match=r"s3://box/data\.json") as wrong:
        cache.get_json(URI)
    assert isinstance(wrong.value, NearsideError)


def test_json_nested_too_deeply_is_an_error_of_ours(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b"[" * 200_000 + b"]" * 200_000)
    with pytest.raises(NearsideError):
        cache.get_json(URI, any_type=True)


def test_json_with_a_byte_order_mark_is_read(server: FaultyServer, cache: CacheManager) -> None:
    server.put(NAME, b'\xef\xbb\xbf{"a": 1}')
    assert cache.get_json(URI) == {"a": 1}


def test_gzip_by_content_encoding_is_unpacked(server: FaultyServer, cache: CacheManager) -> None:
    packed = gzip.compress(b'{"a": 1}')
    server.put(NAME, packed, headers={"Content-Encoding": "gzip"})
    assert cache.get_json(URI) == {"a": 1}
    assert cache.get(URI).path.read_bytes() == packed, "the file is the object as it is stored"
    assert cache.get_json(URI, offline=True) == {"a": 1}


def test_gzip_by_name_is_unpacked(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/data.json.gz", gzip.compress(b'{"a": 1}'))
    assert cache.get_json("s3://box/data.json.gz") == {"a": 1}
    assert cache.get_text("s3://box/data.json.gz") == '{"a": 1}'


def test_a_name_that_promises_gzip_and_a_body_that_is_none_is_read_as_it_is(
    server: FaultyServer, cache: CacheManager
) -> None:
    """As a web server does that unpacked it."""
    server.put("box/data.json.gz", b'{"a": 1}')
    assert cache.get_json("s3://box/data.json.gz") == {"a": 1}


def test_a_cut_gzip_stream_is_an_error_of_ours(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/data.json.gz", gzip.compress(bytes(10_000))[:-9])
    with pytest.raises(NearsideError):
        cache.get_json("s3://box/data.json.gz")


def test_a_small_gzip_file_that_unpacks_to_more_than_the_limit_is_refused(
    server: FaultyServer, cache: CacheManager
) -> None:
    server.put("box/bomb.json.gz", gzip.compress(bytes(10_000_000)))
    with pytest.raises(NearsideError):
        cache.get_bytes("s3://box/bomb.json.gz", max_object_bytes=100_000)


def test_get_text_and_get_bytes(server: FaultyServer, cache: CacheManager) -> None:
    server.put("box/t.txt", "grün\r\n".encode("latin-1"))
    assert cache.get_bytes("s3://box/t.txt") == b"gr\xfcn\r\n"
    assert cache.get_text("s3://box/t.txt", encoding="latin-1") == "grün\r\n"
    with pytest.raises(ValueError, match=r"s3://box/t\.txt") as wrong:
        cache.get_text("s3://box/t.txt")
    assert isinstance(wrong.value, NearsideError)


def test_a_web_address_is_cached_and_validated(server: FaultyServer, cache: CacheManager) -> None:
    server.put("page.json?q=1&r=%20", b'{"a": 1}')
    url = f"{server.url}/page.json?q=1&r=%20"
    got = cache.get(url)
    assert (got.source, got.from_cache, got.path.name) == ("http", True, "page.json")
    assert cache.get_json(url) == {"a": 1}
    assert [(each.target, each.status) for each in server.asked] == [
        ("/page.json?q=1&r=%20", 200),
        ("/page.json?q=1&r=%20", 304),
    ]


def test_web_addresses_that_differ_in_their_query_are_different_objects(
    server: FaultyServer, cache: CacheManager
) -> None:
    server.put("page?q=1", b"one")
    server.put("page?q=2", b"two")
    for _ in range(2):
        assert cache.get_bytes(f"{server.url}/page?q=1") == b"one"
        assert cache.get_bytes(f"{server.url}/page?q=2") == b"two"


def test_redirects_are_followed(server: FaultyServer, other: FaultyServer, cache: CacheManager) -> None:
    other.put("there.json", b'{"a": 1}')
    server.redirect("a", "/b", 301)
    server.redirect("b", f"{other.url}/c", 302)
    other.redirect("c", "there.json", 307)
    assert cache.get_json(f"{server.url}/a") == {"a": 1}
    assert not cache.get(f"{server.url}/a").downloaded


def test_a_loop_of_redirects_is_an_error_of_ours(server: FaultyServer, cache: CacheManager) -> None:
    server.redirect("a", "/b")
    server.redirect("b", "/a")
    with pytest.raises(NearsideError) as error:
        cache.get(f"{server.url}/a")
    assert not isinstance(error.value, FileNotFoundError)
    assert len(server.asked) < 100


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "s3://box/k", "//", "http://", "\x00"])
def test_a_redirect_leads_nowhere_but_to_the_web(server: FaultyServer, cache: CacheManager, to: str) -> None:
    server.redirect("a", to)
    with pytest.raises(NearsideError):
        cache.get(f"{server.url}/a")


def test_the_password_of_a_url_is_not_kept_and_not_sent_to_another_host(
    server: FaultyServer, other: FaultyServer, cache: CacheManager, folder: Path
) -> None:
    other.put("there", b"x")
    server.redirect("a", f"{other.url.replace('127.0.0.1', 'localhost')}/there")
    url = f"{server.url}/a".replace("http://", "http://me:hunter22@")
    got = cache.get(url)
    assert got.path.read_bytes() == b"x"
    assert "authorization" in server.asked[0].headers
    assert "authorization" not in other.asked[0].headers
    everything = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    assert b"hunter22" not in everything


def test_the_password_of_a_url_is_in_no_error(server: FaultyServer, cache: CacheManager) -> None:
    url = f"{server.url}/none".replace("http://", "http://me:hunter22@")
    for down in (False, True):
        server.is_down = down
        with pytest.raises(NearsideError) as error:
            cache.get(url)
        assert "hunter22" not in str(error.value)
    with pytest.raises(NearsideError) as error:
        cache.get(url, offline=True)
    assert "hunter22" not in str(error.value)


def test_a_fragment_is_not_sent(server: FaultyServer, cache: CacheManager) -> None:
    server.put("page", b"x")
    cache.get(f"{server.url}/page#part")
    assert server.asked[0].target == "/page"


def test_an_empty_path_is_the_root(server: FaultyServer, cache: CacheManager) -> None:
    server.put("", b"x")
    assert cache.get_bytes(server.url) == b"x"
    assert server.asked[0].target == "/"


def test_missing_on_the_web_is_file_not_found(server: FaultyServer, cache: CacheManager) -> None:
    with pytest.raises(FileNotFoundError):
        cache.get(f"{server.url}/none")


def test_an_etag_on_the_web_is_no_checksum(server: FaultyServer, cache: CacheManager) -> None:
    server.put("page", b"x", etag='"9bb58f26192e4ba00f01e2e7b136bbd8"')
    assert cache.get_bytes(f"{server.url}/page") == b"x"
    assert server.statuses("page") == [200]


def test_a_local_path_is_served_as_it_is(tmp_path: Path, cache: CacheManager, folder: Path) -> None:
    file = tmp_path / "a ü?#.json"
    file.write_text('{"a": 1}')
    got = cache.get(str(file))
    assert (got.path, got.from_cache, got.source) == (file, False, "local")
    assert cache.get(file).path == file
    assert cache.get(file.as_uri()).path == file
    assert cache.get_json(file) == {"a": 1}
    assert cache.get_text(file.as_uri()) == '{"a": 1}'
    assert not (folder / "objects").exists() or not any((folder / "objects").iterdir())


def test_a_local_path_is_absolute_in_the_answer(
    tmp_path: Path, cache: CacheManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert cache.get("x.json").path == tmp_path / "x.json"


def test_a_local_file_that_is_not_there_is_file_not_found(tmp_path: Path, cache: CacheManager) -> None:
    for each in (str(tmp_path / "none"), tmp_path / "none", (tmp_path / "none").as_uri()):
        with pytest.raises(FileNotFoundError) as missing:
            cache.get(each)
        assert isinstance(missing.value, NearsideError)


def test_local_files_are_served_offline_too(tmp_path: Path, cache: CacheManager) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert cache.get(tmp_path / "x.json", offline=True).source == "local"


def test_a_local_gzip_file_is_unpacked(tmp_path: Path, cache: CacheManager) -> None:
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b'{"a": 1}'))
    assert cache.get_json(tmp_path / "x.json.gz") == {"a": 1}


def test_the_functions_read_without_a_manager(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the users of `aind-s3-cache` call them."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    server.put(NAME, b'{"a": 1}')
    (tmp_path / "x.json").write_text('{"a": 2}')
    assert functions.get_json(URI, anonymous=True) == {"a": 1}
    assert functions.get_json("box", "data.json", anonymous=True) == {"a": 1}
    assert functions.get_json_s3("box", "data.json", anonymous=True) == {"a": 1}
    assert functions.get_json_s3_uri(URI, anonymous=True) == {"a": 1}
    assert functions.get_json_url(f"{server.url}/{NAME}") == {"a": 1}
    assert functions.get_json(f"{server.url}/{NAME}") == {"a": 1}
    assert functions.get_json(str(tmp_path / "x.json")) == {"a": 2}
    assert functions.get_json((tmp_path / "x.json").as_uri()) == {"a": 2}
    assert functions.get_text(URI, anonymous=True) == '{"a": 1}'
    assert functions.get_bytes(URI, anonymous=True) == b'{"a": 1}'
    server.put(NAME, b"[1]")
    with pytest.raises(TypeError):
        functions.get_json(URI, anonymous=True)


def test_the_path_function_takes_a_folder(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    server.put(NAME, b"{}")
    got = functions.get_local_path_for_resource(URI, cache_dir=tmp_path / "mine", anonymous=True)
    assert isinstance(got, LocalizedResource)
    assert (got.from_cache, got.source) == (True, "s3")
    assert got.path.is_relative_to(tmp_path / "mine")
    assert got.path.read_bytes() == b"{}"
    local = tmp_path / "x"
    local.write_bytes(b"")
    assert (
        functions.get_local_path_for_resource(local)
        == LocalizedResource(path=local, from_cache=False, source="local", uri=str(local))
        or functions.get_local_path_for_resource(local).path == local
    )
