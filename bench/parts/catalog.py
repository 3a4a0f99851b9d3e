"""The least of DynamoDB on loopback, in its own process: a catalog that knows every object in every place.

It answers BatchGetItem only, and a request that it has seen before from memory, so that its own time drowns nothing:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

import json
from contextlib import AbstractContextManager

from bench.parts import loopback

NAME = "catalog"
_HELD = {
    "version": {"S": "4HL4kqtJvjVBH40Nrjfkd"},
    "made": {"N": "1795132800000"},
    "etag": {"S": "9b2cf535f27731c974343645a3985328"},
    "size": {"N": "48213"},
    "rev": {"N": "1"},
}


class Handler(loopback.Handler):
    """POST of a BatchGetItem."""

    answered: dict[bytes, bytes]

    def do_POST(self) -> None:
        """Every current record that is asked for, as if it were there."""
        asked = self.rfile.read(int(self.headers["content-length"]))
        body = self.answered.get(asked)
        if body is None:
            keys = json.loads(asked)["RequestItems"][NAME]["Keys"]
            items = [{**key, **_HELD} for key in keys if key["SK"]["S"].startswith("CURRENT#")]
            body = self.answered[asked] = json.dumps({"Responses": {NAME: items}, "UnprocessedKeys": {}}).encode()
        self.answer(200, {}, body)


def serving() -> AbstractContextManager[str]:
    """The endpoint of such a DynamoDB, whose table is `NAME`."""
    return loopback.serving("bench.parts.catalog")


def main() -> None:
    """Serves on a free port, which it prints."""
    Handler.answered = {}
    loopback.serve(Handler)


if __name__ == "__main__":
    main()
