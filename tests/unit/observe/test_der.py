"""The DER reader: the values of X.690's examples, and every way to be wrong."""

from __future__ import annotations

from typing import List

import pytest

from proxy_core.observe import der


def test_elements_come_in_order_with_lengths_of_every_form() -> None:
    sizes = [0, 1, 127, 128, 255, 256, 70000]
    data = b"".join(der.encode(der.OCTET_STRING, b"x" * size) for size in sizes)
    assert [len(content) for _, content in der.Reader(data).elements()] == sizes


def test_nested_values_are_opened() -> None:
    reader = der.Reader(der.encode(der.SEQUENCE, der.encode(der.INTEGER, b"\x05") + der.encode(der.SET, b"")))
    inner = reader.open(der.SEQUENCE)
    assert der.integer(inner.next(der.INTEGER)) == 5
    assert inner.peek_tag() == der.SET
    inner.skip_optional(der.SEQUENCE)
    inner.skip_optional(der.SET)
    assert inner.at_end and inner.peek_tag() == -1
    reader.finish()


def test_a_whole_element_keeps_its_tag_and_length() -> None:
    whole = der.encode(der.SEQUENCE, b"x" * 200)
    assert der.Reader(whole + b"\x05\x00").next_whole(der.SEQUENCE) == whole


def test_every_prefix_of_an_element_is_truncated() -> None:
    whole = der.encode(der.SEQUENCE, b"x" * 300)
    for size in range(len(whole)):
        with pytest.raises(ValueError):
            der.Reader(whole[:size]).next()


@pytest.mark.parametrize("wrong", [
    b"\x30\x80\x00\x00",  # indefinite length
    b"\x30\x81\x05" + b"x" * 5,  # not the shortest form
    b"\x30\x82\x00\x85" + b"x" * 0x85,
    b"\x30\x85\x00\x00\x00\x00\x01x",  # length of five bytes
    b"\x30\xff\x01",
    b"\x1f\x81\x01\x00",  # tag of two bytes
    b"\x30",
    b"\x30\x05abc",
])
def test_what_is_not_der_is_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError):
        der.Reader(wrong).next()


def test_another_tag_and_a_rest_are_refused() -> None:
    with pytest.raises(ValueError, match="expected tag 0x30, found 0x02"):
        der.Reader(b"\x02\x01\x05").next(der.SEQUENCE)
    with pytest.raises(ValueError, match="2 bytes too many"):
        der.Reader(b"\x05\x00").finish()


@pytest.mark.parametrize("content, value", [
    (b"\x00", 0), (b"\x7f", 127), (b"\x00\x80", 128), (b"\x80", -128), (b"\xfb", -5), (b"\x01" + b"\x00" * 19, 1 << 152),
])
def test_integers(content: bytes, value: int) -> None:
    assert der.integer(content) == value


def test_an_empty_integer_is_refused() -> None:
    with pytest.raises(ValueError):
        der.integer(b"")


@pytest.mark.parametrize("content, text", [
    (b"\x55\x04\x03", "2.5.4.3"), (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", "1.2.840.113549.1.1.1"),
    (b"\x00", "0.0"), (b"\x27", "0.39"), (b"\x28", "1.0"), (b"\x88\x37\x03", "2.999.3"),
])
def test_object_identifiers(content: bytes, text: str) -> None:
    assert der.object_identifier(content) == text


@pytest.mark.parametrize("wrong", [b"", b"\x55\x84"])
def test_unfinished_object_identifiers_are_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError):
        der.object_identifier(wrong)


def test_strings_of_every_type() -> None:
    texts: List[str] = [
        der.text(der.UTF8_STRING, "Z\u00fcrich".encode()), der.text(der.PRINTABLE_STRING, b"abc"),
        der.text(der.T61_STRING, b"Z\xfcrich"), der.text(der.BMP_STRING, "Z\u00fcrich".encode("utf-16-be")),
        der.text(der.UNIVERSAL_STRING, "Z\u00fcrich".encode("utf-32-be")), der.text(der.IA5_STRING, b"a@b"),
    ]
    assert texts == ["Z\u00fcrich", "abc", "Z\u00fcrich", "Z\u00fcrich", "Z\u00fcrich", "a@b"]


@pytest.mark.parametrize("tag, wrong", [(der.UTF8_STRING, b"\xff"), (der.PRINTABLE_STRING, b"\xe4"), (der.INTEGER, b"a")])
def test_bytes_that_are_no_text_are_refused(tag: int, wrong: bytes) -> None:
    with pytest.raises(ValueError):
        der.text(tag, wrong)


@pytest.mark.parametrize("tag, content, seconds", [
    (der.UTC_TIME, b"700101000000Z", 0), (der.UTC_TIME, b"500101000000Z", -631152000),
    (der.UTC_TIME, b"491231235959Z", 2524607999), (der.GENERALIZED_TIME, b"20500101000000Z", 2524608000),
    (der.GENERALIZED_TIME, b"99991231235959Z", 253402300799),
])
def test_times(tag: int, content: bytes, seconds: int) -> None:
    assert der.time(tag, content) == seconds


@pytest.mark.parametrize("tag, wrong", [
    (der.UTC_TIME, b"7001010000Z"), (der.UTC_TIME, b"700101000000+0100"), (der.UTC_TIME, b"701301000000Z"),
    (der.UTC_TIME, b"700132000000Z"), (der.UTC_TIME, b"700101240000Z"), (der.GENERALIZED_TIME, b"20500101000000.5Z"),
    (der.GENERALIZED_TIME, b"700101000000Z"), (der.INTEGER, b"20500101000000Z"),
])
def test_times_in_another_form_are_refused(tag: int, wrong: bytes) -> None:
    with pytest.raises(ValueError):
        der.time(tag, wrong)
