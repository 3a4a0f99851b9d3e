"""Which of a record's origins one request goes to: at random by weight, or the same one for the same viewer.

Sticky is weighted rendezvous hashing: each origin gets a score from the viewer and its own name, and the highest wins,
so an origin that comes takes only its share of the viewers, and one that goes leaves all others where they are.
"""

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from txt_origin import Origin

_BITS = 53  # of a float's mantissa


def choose(origins: Sequence[Origin], viewer: str) -> Origin | None:
    """One of the origins; `viewer` empty: at random. None when all are drained (weight 0)."""
    live = [origin for origin in origins if origin.weight]
    if len(live) < 2:
        return live[0] if live else None
    if viewer:
        return max(live, key=lambda origin: _score(origin, viewer))
    left = int.from_bytes(os.urandom(8)) % sum(origin.weight for origin in live)
    for origin in live:
        left -= origin.weight
        if left < 0:
            return origin
    return live[-1]  # cannot be: `left` is less than the sum of the weights


def viewer_of(request: Mapping[str, Any], sticky: str) -> str:
    """What tells the request's viewer from others, as X-ORIGIN-STICKY says; empty when it says nothing, or when the
    request has no such cookie or header (CloudFront shows those that the cache or origin request policy names)."""
    kind, _, name = sticky.partition(":")
    if kind == "ip":
        return str(request["clientIp"])
    if kind == "header":
        return ",".join([str(entry["value"]) for entry in request["headers"].get(name, ())])
    if kind == "cookie":
        for entry in request["headers"].get("cookie", ()):
            for pair in str(entry["value"]).split(";"):
                key, _, value = pair.strip().partition("=")
                if key == name:
                    return value
    return ""


def _score(origin: Origin, viewer: str) -> float:
    from hashlib import blake2b  # 3 ms of a cold start, for whoever is sticky

    said = f"{viewer}\n{origin.host}{origin.path}".encode("utf-8", "surrogatepass")
    point = (int.from_bytes(blake2b(said, digest_size=8).digest()) >> (64 - _BITS)) + 0.5
    return -origin.weight / math.log(point / (1 << _BITS))
