"""What s3fs does with the gateway, run by the Python of .clients: `s3fs_session.py <bucket> <files>`."""

import sys
import tempfile
from pathlib import Path

import s3fs  # type: ignore[import-not-found]  # is in .clients only: it needs a botocore of its own


def main(bucket: str, files: int) -> None:
    """Raises AssertionError when something is not as with a file system."""
    fs = s3fs.S3FileSystem(anon=False)
    fs.mkdir(bucket)
    with fs.open(f"{bucket}/a b/ü.txt", "wb") as file:
        file.write(b"by s3fs")
    assert fs.cat(f"{bucket}/a b/ü.txt") == b"by s3fs"
    assert fs.info(f"{bucket}/a b/ü.txt")["size"] == 7
    assert fs.exists(f"{bucket}/a b") and not fs.exists(f"{bucket}/nothing")  # noqa: PT018 - no test
    many_files(fs, bucket, files)
    large_file(fs, bucket)
    assert sorted(fs.find(bucket)) == [f"{bucket}/a b/ü.txt", f"{bucket}/large", f"{bucket}/moved"]


def many_files(fs: "s3fs.S3FileSystem", bucket: str, files: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        for number in range(files):
            Path(name, f"{number:04}.txt").write_text(f"file {number}")
        fs.put(name, f"{bucket}/tree", recursive=True)
        found = fs.glob(f"{bucket}/tree/**/*.txt")
        assert len(found) == files, found
        back = Path(name, "back")
        fs.get(f"{bucket}/tree/", str(back), recursive=True)
        assert len(list(back.rglob("*.txt"))) == files
    fs.mv(f"{bucket}/tree/0001.txt", f"{bucket}/moved")
    assert fs.cat(f"{bucket}/moved") == b"file 1"
    assert not fs.exists(f"{bucket}/tree/0001.txt")
    fs.rm(f"{bucket}/tree", recursive=True)
    fs.invalidate_cache()
    assert fs.ls(bucket) != []
    assert not fs.exists(f"{bucket}/tree")


def large_file(fs: "s3fs.S3FileSystem", bucket: str) -> None:
    """In parts of the size that s3fs allows at least."""
    body = bytes(range(256)) * 4096 * 11  # 11 MiB
    with fs.open(f"{bucket}/large", "wb", block_size=5 * 2**20) as file:
        file.write(body)
    with fs.open(f"{bucket}/large", "rb") as file:
        file.seek(7_000_000)
        assert file.read(1000) == body[7_000_000:7_001_000]
    assert fs.cat(f"{bucket}/large") == body


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
