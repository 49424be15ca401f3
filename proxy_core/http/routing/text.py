"""Text between configuration and wire. On the wire a character is a byte, so text of the configuration has to be brought to that
form once, when it is loaded."""

from __future__ import annotations

from typing import Final, Optional

# What would end a header line, and NUL, which no header may hold.
_UNSAFE: Final = {ord(character): None for character in "\r\n\0"}


def wire(text: str) -> str:
    """UTF-8 bytes as characters: the form of header values and paths."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def readable(value: Optional[str]) -> Optional[str]:
    """The text that the bytes of a header stand for: the reverse of `wire`. Bytes that are not UTF-8 stay what they are."""
    return value if value is None or value.isascii() else value.encode("latin-1").decode("utf-8", "surrogateescape")


def header_value(text: str) -> str:
    """Text of whatever origin as a header value: it can neither end the line nor begin another."""
    text = wire(text)
    return text if text.isprintable() else text.translate(_UNSAFE)


def path_of(target: str) -> str:
    """A path without query and fragment."""
    end = target.find("?")
    if end >= 0:
        target = target[:end]
    end = target.find("#")
    return target if end < 0 else target[:end]
