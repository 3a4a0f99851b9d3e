"""The explorer's listings through its handler: a page's time in a small and in a large folder, and keys per second.

The peer for keys per second is boto3's own paginator over the same folder of the same server (parts/s3.py):
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/paginators.html
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from bench.parts import s3
from bench.parts.promises import ROOT, at_least, at_most, ratio, report, rounds, table

SMALL, LARGE, WHOLE = 1_000, 100_000, 20_000  # keys in the folders
PAGE_ROUNDS = 41
WHOLE_ROUNDS = 9
BUCKET = "nearside-eu-west-2"


def main() -> None:
    """Measures, prints and writes bench/results/listing.json."""
    with s3.serving(small=SMALL, large=LARGE, whole=WHOLE) as endpoint:
        os.environ.update(
            BUCKET=BUCKET,
            BUCKET_REGION="eu-west-2",
            S3_ENDPOINT=endpoint,
            REPLICAS="[]",
            USE_MRAP="false",
            AUTH_MODE="jwt",
            ACCESS_POLICY='[{"claim":"sub","prefixes":[""],"actions":["read"]}]',
            CURSOR_KEY="0123456789abcdef",
            AWS_REGION="eu-west-2",
            AWS_ACCESS_KEY_ID="AKIDEXAMPLE",
            AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        )
        small, large = f"first page, {SMALL:,} keys in the folder", f"first page, {LARGE:,} keys in the folder"
        pages = rounds({small: _page("small"), large: _page("large")}, PAGE_ROUNDS)
        table("The first 1,000 names", "milliseconds", pages, small)
        ours, theirs = f"explorer, {WHOLE:,} names in one answer", "boto3's paginator"
        whole = rounds({ours: _whole("whole", WHOLE), theirs: _paginated(endpoint, "whole", WHOLE)}, WHOLE_ROUNDS)
        table("A whole listing", "keys per second", whole, theirs)
    growth, speed = ratio(pages[large], pages[small]), ratio(whole[ours], whole[theirs])
    report(
        "listing",
        [
            at_most(f"first page's time with {LARGE:,} keys, in first pages with {SMALL:,}", growth, 1.3),
            at_least("whole listing's keys per second, in those of boto3's paginator", speed, 0.8),
        ],
    )


def _names(folder: str, **query: str) -> list[str]:
    """The names that the explorer's handler answers for one folder."""
    from functions.explorer.handler import handler

    event = json.loads((ROOT / "events" / "explorer" / "list-folder.json").read_text())
    event |= {"pathParameters": {"path": folder}, "queryStringParameters": query}
    answer = handler(event, None)
    if answer["statusCode"] != 200:
        raise SystemExit(f"the listing was not answered: {answer}")
    names: list[str] = json.loads(answer["body"])["content"]
    return names


def _page(folder: str) -> Callable[[], float]:
    def milliseconds() -> float:
        began = time.perf_counter()
        names = _names(folder, limit=str(s3.PAGE_KEYS))
        took = (time.perf_counter() - began) * 1_000
        _expect(len(names), s3.PAGE_KEYS)
        return took

    milliseconds()  # boto3's import and its client are not what is measured
    return milliseconds


def _whole(folder: str, count: int) -> Callable[[], float]:
    def keys_per_second() -> float:
        began = time.perf_counter()
        names = _names(folder)
        took = time.perf_counter() - began
        _expect(len(names), count)
        return count / took

    return keys_per_second


def _paginated(endpoint: str, folder: str, count: int) -> Callable[[], float]:
    client: Any = boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}))
    pages = client.get_paginator("list_objects_v2")

    def keys_per_second() -> float:
        began = time.perf_counter()
        answers = pages.paginate(Bucket=BUCKET, Prefix=f"{folder}/", Delimiter="/")
        names = [each["Key"] for answer in answers for each in answer["Contents"]]
        took = time.perf_counter() - began
        _expect(len(names), count)
        return count / took

    return keys_per_second


def _expect(found: int, count: int) -> None:
    if found != count:
        raise SystemExit(f"{found} names were answered: expected {count}")


if __name__ == "__main__":
    main()
