"""A read-only S3 on loopback whose page costs as much in a large bucket as in a small one, in its own process.

moto takes about 100 ms for a page of 1,000 keys, and walks over every key of the bucket for it, so its own time would
drown what is measured. This one takes 1.5 ms, finds a page's first key by bisection, and answers the same XML:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import sys
from bisect import bisect_left
from contextlib import AbstractContextManager
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from bench.parts import loopback

PAGE_KEYS = 1_000
AFTER_ANY_KEY = "\U0010ffff"
HELD = {
    "ETag": '"9b2cf535f27731c974343645a3985328"',
    "Last-Modified": "Fri, 20 Nov 2026 00:00:00 GMT",
    "x-amz-version-id": "4HL4kqtJvjVBH40Nrjfkd",
    "x-amz-replication-status": "COMPLETED",
}


def page(keys: list[str], prefix: str, delimiter: str, limit: int, token: str) -> tuple[list[str], list[str], str]:
    """Keys and folders of one page, in key order, and the token for the next page (empty on the last).

    The token is the last key of the page; for a folder it stands after everything that is in it.
    """
    contents: list[str] = []
    folders: list[str] = []
    index = max(bisect_left(keys, prefix), bisect_left(keys, token + "\0") if token else 0)
    while index < len(keys) and keys[index].startswith(prefix):
        if len(contents) + len(folders) == limit:
            return contents, folders, token
        key = keys[index]
        head, found, _ = key.removeprefix(prefix).partition(delimiter) if delimiter else (key, "", "")
        if found:
            folders.append(prefix + head + delimiter)
            token = folders[-1] + AFTER_ANY_KEY
            index = bisect_left(keys, token, lo=index)
        else:
            contents.append(key)
            token = key
            index += 1
    return contents, folders, ""


def xml(bucket: str, prefix: str, limit: int, contents: list[str], folders: list[str], token: str) -> str:
    """The answer as S3 writes it for `encoding-type=url`, which boto3 asks for."""
    objects = "".join([
        f"<Contents><Key>{escape(quote(key))}</Key><LastModified>2026-11-20T00:00:00.000Z</LastModified>"
        "<ETag>&quot;9b2cf535f27731c974343645a3985328&quot;</ETag><Size>48213</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for key in contents
    ])  # fmt: skip
    common = "".join([f"<CommonPrefixes><Prefix>{escape(quote(each))}</Prefix></CommonPrefixes>" for each in folders])
    more = f"<NextContinuationToken>{escape(quote(token, safe=''))}</NextContinuationToken>" if token else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{bucket}</Name><Prefix>{escape(quote(prefix))}</Prefix><MaxKeys>{limit}</MaxKeys>"
        f"<KeyCount>{len(contents) + len(folders)}</KeyCount><EncodingType>url</EncodingType>"
        f"<IsTruncated>{str(bool(token)).lower()}</IsTruncated>{more}{objects}{common}</ListBucketResult>"
    )


class Handler(loopback.Handler):
    """GET of a bucket lists it; HEAD finds every object there, replicated."""

    keys: list[str]

    def do_GET(self) -> None:
        """ListObjectsV2, path style."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        prefix, limit = query.get("prefix", ""), min(int(query.get("max-keys", PAGE_KEYS)), PAGE_KEYS)
        token = unquote(query.get("continuation-token", ""))
        found = page(self.keys, prefix, query.get("delimiter", ""), limit, token)
        body = xml(parts.path.strip("/"), prefix, limit, *found).encode()
        self.answer(200, {"Content-Type": "application/xml"}, body)

    def do_HEAD(self) -> None:
        """HeadObject."""
        self.answer(200, {**HELD, "Content-Length": "48213"})


def serving(**folders: int) -> AbstractContextManager[str]:
    """The endpoint of a server in a process of its own, whose bucket has `folders`: so many keys under each name."""
    return loopback.serving("bench.parts.s3", *(f"{name}={count}" for name, count in folders.items()))


def main() -> None:
    """Serves the folders named on the command line (`small=1000`) on a free port, which it prints."""
    folders = [argument.partition("=") for argument in sys.argv[1:]]
    Handler.keys = sorted(f"{name}/{index:08}.jpg" for name, _, count in folders for index in range(int(count)))
    loopback.serve(Handler)


if __name__ == "__main__":
    main()
