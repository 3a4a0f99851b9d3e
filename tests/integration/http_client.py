"""Plain HTTP for tests: the target is sent as given, so that a URL may be tampered with byte by byte."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree


@dataclass(frozen=True)
class Answer:
    """A response, its header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        """The fields of S3's error XML; raises ParseError when there is none."""
        return {element.tag: element.text or "" for element in ElementTree.fromstring(self.body)}

    @property
    def code(self) -> tuple[int, str]:
        """Status and S3 error code."""
        return self.status, self.error["Code"]


def send(method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """One request on a connection of its own; raises ConnectionError when it is dropped."""
    parts = urlsplit(url)
    target = url.split(parts.netloc, 1)[1] or "/"
    connection = HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request(method, target, body=body or None, headers=dict(headers or {}))
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()


def get(url: str, headers: Mapping[str, str] | None = None) -> Answer:
    """GET."""
    return send("GET", url, headers=headers)
