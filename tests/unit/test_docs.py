"""`GET /docs`: the whole document as one page, with nothing in it that runs and nothing unescaped."""

from html.parser import HTMLParser

from nearside import docs
from nearside.openapi import document

DOCUMENT = document("jwt")
VOID = {"meta", "link", "br"}


class Reader(HTMLParser):
    """Fails on an unclosed element; remembers text and elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_well_formed_and_names_everything() -> None:
    reader = Reader(docs.page(DOCUMENT))
    assert reader.open == []
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in reader.text
            assert operation["summary"] in reader.text
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert name in reader.text
        assert all(field in reader.text for field in schema.get("properties", {}))
    assert "maximum 604800" in reader.text
    assert "GET | HEAD" in reader.text or "'GET' | 'HEAD'" in reader.text


def test_nothing_in_the_page_runs_or_is_fetched() -> None:
    reader = Reader(docs.page(DOCUMENT))
    assert {tag for tag, _ in reader.seen} & {"script", "img", "iframe", "form", "object"} == set()
    addresses = [attrs.get("href") or "" for tag, attrs in reader.seen if tag == "link"]
    assert [address for address in addresses if not address.startswith("data:")] == []
    assert not [attrs for _, attrs in reader.seen if any(name.startswith("on") for name in attrs)]
    assert "default-src 'none'" in docs.CONTENT_SECURITY_POLICY


def test_words_of_the_document_are_escaped() -> None:
    evil = "<script>alert(1)</script>"
    tampered = document("jwt")
    tampered["info"]["description"] = evil
    tampered["paths"]["/health"]["get"]["summary"] = evil
    tampered["components"]["schemas"]["Item"]["description"] = evil
    page = docs.page(tampered)
    assert "<script" not in page
    assert Reader(page).text.count(evil) == 3


def test_the_page_is_readable_without_its_style() -> None:
    reader = Reader(docs.page(DOCUMENT))
    assert ("html", {"lang": "en"}) in reader.seen
    assert {"h1", "h2", "h3", "th"} <= {tag for tag, _ in reader.seen}
