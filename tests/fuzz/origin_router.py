"""A fuzz of origin_router with nearly right events, headers and records: it never raises, and keeps to the allow-list.

    python -m tests.fuzz.origin_router --inputs 1000000 --seed 1

Every input is a recorded event with a few places spoilt, custom headers and TXT records of mixed worth. Checked of each
answer: no exception; nothing of the event was touched; a changed origin is a bucket of the allow-list by a usable
record; else it is the request as it came; no header that CloudFront forbids or holds read-only was added or changed.
tests/unit/test_origin_router_fuzz.py runs 20,000 of them, or as many as the variable FUZZ_INPUTS says.
"""

import argparse
import contextlib
import copy
import fnmatch
import io
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[2] / "events" / "origin_router"
ALLOWED = ("nearside-*", "pics.example")
READ_ONLY = {
    *("accept-encoding", "content-length", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since"),
    *("transfer-encoding", "via"),
}
MAY_ADD = {"host", "authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-nearside-reason"}
MAY_ADD_TO_A_RESPONSE = {"x-nearside-origin", "x-nearside-reason"}
RUBBISH: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e309, "", "a", "\0", "\r\nX-Evil: 1", "\ud800", "caf\u00e9", "a" * 9000, b"a", [], {}, [[]]),
    *([{}], [{"key": 1}], [{"value": None}], [{"key": "K", "value": ["v"]}], {"s3": {}}, {"custom": None}, ("t",)),
)
WORDS = (
    *("nearside-eu-west-2", "nearside-us-east-2", "pics.example", "stranger", "nearside.evil", "a.b", "xn--a", "s3"),
    *(".s3.", ".s3.dualstack.", ".s3-", ".", "eu-west-2", "us-east-2", "cn-north-1", ".amazonaws.com", ".cn", "/"),
    *("/v2", "/..", "%2e", "%", " weight=", "0", "3", "1001", ",", " ", " sig=", "A" * 43, "\t", "\u00e9", "*", "\\"),
)
GOOD = (
    "nearside-eu-west-2.s3.eu-west-2.amazonaws.com",
    "NEARSIDE-us-east-2.s3.us-east-2.amazonaws.com./v2 weight=3",
    "pics.example.s3.dualstack.cn-north-1.amazonaws.com.cn weight=0,nearside-a.s3.eu-west-2.amazonaws.com",
    "stranger.s3.eu-west-2.amazonaws.com,nearside-eu-west-2.s3.eu-west-2.amazonaws.com weight=1000",
)
HEADERS: Mapping[str, Sequence[str]] = {
    "X-DNS-ORIGIN": ("origin.nearside.test", "Origin.Nearside.Test.", "", "a..b", "x" * 300, "\u00e9.test"),
    "X-ORIGIN-ALLOW": (",".join(ALLOWED), ",".join(ALLOWED), ",".join(ALLOWED), "", "nearside-*,", "UPPER"),
    "X-ORIGIN-AUTH": ("oai", "sigv4", "none", "SIGV4", "oac", ""),
    "X-ORIGIN-KEY": ("0123456789abcdef", "short", ",", "\u00e9" * 16),
    "X-ORIGIN-STICKY": ("ip", "cookie:session", "header:x-user", "cookie:", "moon"),
    "X-ORIGIN-TTL": ("1-300", "5-5", "0-1", "9-1", "\u0665-\u0666"),
    "X-ORIGIN-STALE": ("0", "60", "-1", "9" * 400),
    "X-ORIGIN-DEADLINE": ("10", "1000", "0", "ten"),
    "X-ORIGIN-RESOLVERS": ("127.0.0.1:9", "[::1]:9,127.0.0.1", "dns.test", "[", ":"),
    "X-ORIGIN-DEBUG": ("true", "true", "false", "yes"),
}

type Handler = Callable[[Any, object], Any]


class Fuzz:
    """Makes inputs from one seed and checks the answers. `texts` is what the next lookup is to answer."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._recorded = [json.loads(path.read_text()) for path in sorted(EVENTS.glob("*.json"))]
        self.texts: Sequence[str] = ()
        self.counts: Counter[str] = Counter()

    def run(self, handler: Handler, inputs: int) -> None:
        """Gives the handler so many inputs. Raises AssertionError, or whatever the handler raises."""
        for _ in range(inputs):
            self.texts = self._records()
            event = self._event()
            before = copy.deepcopy(event)
            answer = handler(event, None)
            assert _same(event, before), f"the event was touched: {before!r}"
            self.check(event, answer)

    def check(self, event: Any, answer: Any) -> None:
        """Raises AssertionError when the answer is not one that CloudFront should get for the event."""
        try:
            cf = event["Records"][0]["cf"]
            sent = cf["response"] if "response" in cf else cf["request"]
        except Exception:  # noqa: BLE001 - no event at all
            assert answer["status"] == "503", answer
            self.counts["no event"] += 1
            return
        if answer is sent or _same(answer, sent):
            self.counts["as it came"] += 1
            return
        assert isinstance(answer, dict), answer
        may_add = MAY_ADD_TO_A_RESPONSE if "response" in cf else MAY_ADD
        self._check_headers(sent["headers"], answer["headers"], may_add)
        if "response" in cf:
            self.counts["a response that says"] += 1
            return
        unchanged = {"headers", "origin", "querystring"}
        assert {name: answer[name] for name in answer if name not in unchanged} == {
            name: sent[name] for name in sent if name not in unchanged
        }
        if answer["origin"] == sent["origin"]:
            self.counts["configured"] += 1
            return
        [origin], [before] = answer["origin"].values(), sent["origin"].values()
        if origin["domainName"] == str(before.get("domainName")).lower().removesuffix(".") and not self._is_named(
            origin
        ):
            assert "authorization" in answer["headers"], answer  # the configured origin, which was only signed for
            self.counts["configured, signed"] += 1
            return
        self._check_origin(origin, answer)

    def _is_named(self, origin: Mapping[str, Any]) -> bool:
        return any(origin["domainName"] in text.lower() for text in self.texts)

    def _check_origin(self, origin: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        found = re.fullmatch(r"(.+)\.s3(?:\.dualstack)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?", origin["domainName"])
        assert found, origin
        assert any(
            fnmatch.fnmatchcase(found[1], pattern) and found[1].count(".") == pattern.count(".") for pattern in ALLOWED
        ), origin
        assert self._is_named(origin), (origin, self.texts)
        assert [entry["value"] for entry in answer["headers"]["host"]] == [origin["domainName"]]
        self.counts["signed" if "authorization" in answer["headers"] else "rerouted"] += 1

    def _check_headers(self, sent: Any, got: Mapping[str, Any], may_add: set[str]) -> None:
        for name, entries in got.items():
            if name not in sent or entries is not sent[name]:
                assert name in may_add, name
                for entry in entries:
                    assert entry["value"].isascii(), entry
                    assert entry["value"].isprintable(), entry
        for name in sent:
            assert name in got or name.lower().startswith(("authorization", "x-amz-", "x-nearside-")), name
            assert name not in READ_ONLY or got[name] is sent[name], name

    def _records(self) -> list[str]:
        draw = self._random
        records = [draw.choice(GOOD) for _ in range(draw.choice((0, 1, 1, 2)))]
        if draw.random() < 0.5:
            records.append("".join(draw.choices(WORDS, k=draw.randint(0, 12))))
        if records and draw.random() < 0.3:
            text = draw.choice(records)
            at = draw.randint(0, len(text))
            records.append(text[:at] + draw.choice(WORDS) + text[at + draw.randint(0, 3) :])
        return records

    def _event(self) -> Any:
        draw = self._random
        event = copy.deepcopy(draw.choice(self._recorded))
        request = event["Records"][0]["cf"]["request"]
        for origin in request["origin"].values():
            origin["customHeaders"] = self._custom_headers()
        if draw.random() < 0.4:
            request["headers"][
                draw.choice(("authorization", "x-amz-date", "x-nearside-reason", "cookie", "x-user"))
            ] = [{"key": "K", "value": draw.choice(("evil", "session=a; b", "fresh", "\r\n", "\u00e9"))}]
        if draw.random() < 0.3:
            request["uri"] = "/" + "".join(draw.choices(("a", "/", "..", "%2F", "%zz", "\u00e9", "\ud800", "+"), k=6))
            request["querystring"] = "".join(draw.choices(("a", "=", "&", "%20", "+", "%", "\u00e9", "acl"), k=6))
        for _ in range(draw.choice((0, 0, 1, 2))):
            event = self._spoilt(event)
        return event

    def _custom_headers(self) -> dict[str, Any]:
        draw = self._random
        names = [
            name for name in HEADERS if draw.random() < (0.95 if name in ("X-DNS-ORIGIN", "X-ORIGIN-ALLOW") else 0.25)
        ]
        mostly_good = draw.random() < 0.7
        return {
            (name if draw.random() < 0.1 else name.lower()): [
                {
                    "key": name,
                    "value": HEADERS[name][0] if mostly_good and name != "X-ORIGIN-KEY" else draw.choice(HEADERS[name]),
                }
            ]
            for name in names
        }

    def _spoilt(self, event: Any) -> Any:
        """The event with one place replaced by rubbish, taken away, or given rubbish beside it."""
        draw = self._random
        if draw.random() < 0.02:
            return draw.choice(RUBBISH)
        places = [(parent, key) for parent, key in _places(event)]
        if not places:
            return event
        parent, key = draw.choice(places)
        act = draw.random()
        if act < 0.6:
            parent[key] = copy.deepcopy(draw.choice(RUBBISH))
        elif act < 0.9:
            del parent[key]
        elif isinstance(parent, dict):
            parent[draw.choice(("x", "origin", "response", "s3", ""))] = copy.deepcopy(draw.choice(RUBBISH))
        return event


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in the value with each of its keys."""
    found: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        found += [(value, key) for key in value]
        for each in value.values():
            found += _places(each)
    elif isinstance(value, list):
        found += [(value, index) for index in range(len(value))]
        for each in value:
            found += _places(each)
    return found


def _same(one: object, other: object) -> bool:
    return repr(one) == repr(other)


def fuzzed(inputs: int, seed: int) -> Counter[str]:
    """What became of so many inputs, on a fresh origin_router whose lookups answer with the input's records."""
    from unittest import mock

    from lookup import Answer
    from records import Records
    from tests.unit import functions

    module = functions.load("origin_router")
    fuzz = Fuzz(seed)
    credentials = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}

    def handler(event: Any, context: object) -> Any:
        # A cache of its own for each input, without a thread, so that the input's records are what it finds.
        records = Records(lambda *_: Answer(tuple(fuzz.texts), 60), time.time)
        module._records = records  # type: ignore[attr-defined]
        return module.handler(event, context)

    def at_once(thread: Any) -> None:
        raise RuntimeError("no thread: the request looks itself")

    with (
        mock.patch.dict("os.environ", credentials),
        mock.patch("threading.Thread.start", at_once),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        fuzz.run(handler, inputs)
    return fuzz.counts


def main() -> None:
    """Runs so many inputs from the seed; prints what became of them, and the time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began = time.monotonic()
    counts = fuzzed(arguments.inputs, arguments.seed)
    for what, count in counts.most_common():
        sys.stdout.write(f"{count:>10,}  {what}\n")
    sys.stdout.write(f"{sum(counts.values()):>10,}  inputs in {time.monotonic() - began:,.0f} s, no exception\n")


if __name__ == "__main__":
    main()
