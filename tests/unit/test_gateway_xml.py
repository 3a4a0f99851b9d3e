"""S3's XML both ways: what clients read of ours and write for us, and what is no XML of S3's."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import botocore.session
import pytest
from botocore.parsers import create_parser
from hypothesis import given
from hypothesis import strategies as st

from nearside.errors import BadRequest
from nearside.gateway import s3_xml, tags
from nearside.gateway.errors import InvalidTag, MalformedXml

_MODEL = botocore.session.get_session().get_service_model("s3")
_PARSER = create_parser("rest-xml")
# What XML 1.0 has no way to say.
_CONTROL = "".join(map(chr, [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF]))

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
sayable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=_CONTROL), max_size=60)


def parsed(operation: str, body: bytes) -> dict[str, object]:
    """As botocore reads an answer."""
    shape = _MODEL.operation_model(operation).output_shape
    assert shape is not None
    found: dict[str, object] = _PARSER.parse({"status_code": 200, "headers": {}, "body": body}, shape)
    return found


@given(sayable)
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    document = s3_xml.document("A", [("B", text)])
    assert (ET.fromstring(document)[0].text or "") == text
    assert s3_xml.read(document, "A").find("B") == text


@given(sayable.filter(bool))
def test_botocore_reads_a_key_as_it_was_written(key: str) -> None:
    document = s3_xml.document("ListBucketResult", [("Contents", [("Key", key), ("Size", 1)])])
    assert parsed("ListObjectsV2", document)["Contents"] == [{"Key": key, "Size": 1}]


@given(texts)
def test_what_xml_cannot_say_is_written_as_s3_does(text: str) -> None:
    """As a reference, which some parsers take, and a client that asks for encoding-type=url does not need."""
    written = s3_xml.escaped(text)
    for character in text:
        if character in _CONTROL or character == "\r":
            assert f"&#x{ord(character):X};" in written
    assert not set(written) & set(_CONTROL + "\r<>")


def test_a_lone_surrogate_is_no_reason_to_fail() -> None:
    assert b"<Message>If-Match is ?</Message>" in s3_xml.document("Error", [("Message", "If-Match is \ud800")])


def test_numbers_truths_and_attributes() -> None:
    document = s3_xml.document("A", [("N", 5), ("T", True), ("F", False), ("E", ""), ("L", [("N", 0)])])
    assert document == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<A xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<N>5</N><T>true</T><F>false</F><E></E><L><N>0</N></L></A>"
    )
    assert b"xmlns" not in s3_xml.document("Error", "", namespace="")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete>",
        b"no xml",
        b"<Delete></Other>",
        b"<Other/>",
        b"<!DOCTYPE Delete><Delete/>",
        b'<!DOCTYPE d [<!ENTITY a "b">]><Delete>&a;</Delete>',
        b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><Delete/>',
        b"<Delete>&unknown;</Delete>",
        b"<Delete>&#x1;</Delete>",
        b"<Delete>\x01</Delete>",
        b"<Delete>\xff</Delete>",
        b'<?xml version="1.0" encoding="no-such"?><Delete/>',
        b"<Delete>" + b"<a>" * 10 + b"</a>" * 10 + b"</Delete>",
        b"<Delete>" + b"<a/>" * 100_001 + b"</Delete>",
        b"<Delete>" + b" " * s3_xml.MAX_XML_BYTES + b"</Delete>",
        b"<Delete/><Delete/>",
    ],
    ids=range(17),
)
def test_what_is_not_the_xml_that_was_expected_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedXml):
        s3_xml.read(body, "Delete")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    with pytest.raises(MalformedXml):
        s3_xml.read(body, "Delete")


def test_elements_are_found_whatever_their_namespace() -> None:
    body = b"""<s3:Delete xmlns:s3="urn:x" a="b"><s3:Quiet>true</s3:Quiet><!-- c -->
        <Object><Key>a<![CDATA[<]]></Key></Object></s3:Delete>"""
    root = s3_xml.read(body, "Delete")
    assert root.find("Quiet") == "true"
    assert [each.required("Key") for each in root.all("Object")] == ["a<"]
    assert root.find("None") is None
    with pytest.raises(MalformedXml, match="Delete has no Key"):
        root.required("Key")


tag_texts = st.text(st.sampled_from("azAZ09 _.:/=+-@é日"), max_size=20)
tag_sets = st.dictionaries(tag_texts.filter(lambda name: name and not name.startswith("aws:")), tag_texts, max_size=10)


@given(tag_sets)
def test_tags_both_ways(wanted: dict[str, str]) -> None:
    document = tags.to_xml(wanted)
    assert tags.from_xml(document) == wanted
    read: Sequence[dict[str, str]] = parsed("GetObjectTagging", document).get("TagSet", [])  # type: ignore[assignment]  # what the model says
    assert {tag["Key"]: tag.get("Value", "") for tag in read} == wanted


def test_tags_of_a_header() -> None:
    assert tags.from_header("a=1&b=x%20y+z&c=&d") == {"a": "1", "b": "x y z", "c": "", "d": ""}
    assert tags.from_header("") == {}


@pytest.mark.parametrize(
    "header", ["a=1&a=2", "=1", "aws:x=1", "AWS:x=1", "a=%FF", "a=%0A", "a=%7B", f"{'k' * 129}=1", f"a={'v' * 257}"]
)
def test_tags_that_s3_would_not_have(header: str) -> None:
    with pytest.raises(InvalidTag):
        tags.from_header(header)


def test_ten_tags_and_no_more() -> None:
    assert len(tags.from_header("&".join(f"t{n}=1" for n in range(10)))) == 10
    with pytest.raises(BadRequest, match="these are 11"):
        tags.from_header("&".join(f"t{n}=1" for n in range(11)))
