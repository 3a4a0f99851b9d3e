"""What is said of one route of the API, and the two answers that are nobody's own."""

from typing import Any

import msgspec


class Error(msgspec.Struct, frozen=True):
    """What every refusal looks like: S3's code or a name, and what is wrong in words. A path that does not exist has
    the sentence as its `error` and no `message`."""

    error: str
    message: str = ""


class Endpoints(msgspec.Struct, frozen=True):
    """The routes of this API, as `METHOD /path`."""

    endpoints: list[str]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route: API Gateway's key for it, the function that answers, and the types that go in and out; of several
    types any one. `unchanged` where it may answer 304 to an If-None-Match."""

    key: str
    function: str
    summary: str
    answer: tuple[Any, ...]
    body: tuple[Any, ...] = ()
    query: Any = None
    errors: tuple[int, ...] = ()
    media_type: str = "application/json"
    unchanged: bool = False
