"""XML as S3 writes and reads it, without what XML can do beyond that: no DOCTYPE, no entities, bounded in size."""

import re
from collections.abc import Iterator, Sequence
from xml.parsers import expat

from nearside.gateway.errors import MalformedXml

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
MAX_XML_BYTES = 4 * 1024**2
_MAX_ELEMENTS = 100_000
_MAX_DEPTH = 8

type Content = str | int | bool | Sequence[tuple[str, "Content"]]
"""What an element holds: a text, or elements by name, in order."""

# A carriage return would be read as a line feed. The other control characters are none of XML 1.0's, and neither are
# the last two; S3 writes references to them all the same, which is why its clients ask for encoding-type=url
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
_SPECIAL = re.compile("[&<>\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\ufffe\uffff]")
_UNSAID = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MALFORMED = "The XML you provided was not well-formed or did not validate against our published schema"


def document(name: str, content: Content, namespace: str = NAMESPACE) -> bytes:
    """A whole document; an error's has no namespace."""
    pieces = ['<?xml version="1.0" encoding="UTF-8"?>\n<', name, f' xmlns="{namespace}">' if namespace else ">"]
    _write(pieces, content)
    pieces += ["</", name, ">"]
    return "".join(pieces).encode(errors="replace")  # an error may quote a lone surrogate that came in an event


def escaped(text: str) -> str:
    """The text as it stands in an element."""
    return _SPECIAL.sub(lambda match: _NAMED.get(match[0]) or f"&#x{ord(match[0]):X};", text)


def _write(pieces: list[str], content: Content) -> None:
    if isinstance(content, str):
        pieces.append(escaped(content))
    elif isinstance(content, bool):
        pieces.append("true" if content else "false")
    elif isinstance(content, int):
        pieces.append(str(content))
    else:
        for name, inner in content:
            pieces.append(f"<{name}>")
            _write(pieces, inner)
            pieces.append(f"</{name}>")


def said(name: str, text: str) -> list[tuple[str, Content]]:
    """An element for what the caller knows anyhow: nothing when XML has no way to say it, since a reference to one of
    these characters makes most clients refuse all of the answer."""
    return [] if _UNSAID.search(text) else [(name, text)]


class Element:
    """An element that was read: its name without a namespace's prefix, its text, the elements in it."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.children: list[Element] = []

    def all(self, name: str) -> Iterator["Element"]:
        """The elements of that name that stand directly in this one."""
        return (child for child in self.children if child.name == name)

    def find(self, name: str) -> str | None:
        """The text of the first of them; None when there is none."""
        return next((child.text for child in self.all(name)), None)

    def required(self, name: str) -> str:
        """The text of the first of them. Raises MalformedXml when there is none."""
        text = self.find(name)
        if text is None:
            raise MalformedXml(f"{_MALFORMED}: {self.name} has no {name}")
        return text


def read(body: bytes, name: str) -> Element:
    """The document's element, which must be called `name`. Raises MalformedXml."""
    if len(body) > MAX_XML_BYTES:
        raise MalformedXml(f"{_MALFORMED}: it has {len(body)} bytes, and the limit is {MAX_XML_BYTES}")
    try:
        root = _Tree().read(body)
    except (expat.ExpatError, ValueError, LookupError) as error:  # an encoding that is not known is one of the latter
        raise MalformedXml(f"{_MALFORMED}: {error}") from error
    if root.name != name:
        raise MalformedXml(f"{_MALFORMED}: it is a {root.name!r}, expected a {name}")
    return root


class _Tree:
    def __init__(self) -> None:
        self._open = [Element("")]
        self._texts: list[list[str]] = [[]]
        self._count = 0

    def read(self, body: bytes) -> Element:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.Parse(body, True)
        return self._open[0].children[0]

    def _doctype(self, *_: object) -> None:
        raise MalformedXml(f"{_MALFORMED}: it has a DOCTYPE")

    def _start(self, name: str, attributes: object) -> None:
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) > _MAX_DEPTH:
            raise MalformedXml(f"{_MALFORMED}: over {_MAX_ELEMENTS} elements, or over {_MAX_DEPTH} in each other")
        element = Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def _end(self, name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _data(self, text: str) -> None:
        self._texts[-1].append(text)
