"""Keeps one record on one line: control characters are escaped, so that no peer can forge log lines."""

from __future__ import annotations

import json
from typing import Any

# C0, DEL, C1 and the two line ends of Unicode; the common ones in the spelling that everybody knows.
_CONTROL = {code: f"\\x{code:02x}" for code in [*range(0x20), *range(0x7F, 0xA0)]}
_CONTROL.update({0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x2028: "\\u2028", 0x2029: "\\u2029"})
# JSON escapes C0 itself and lets the rest through, where terminals and line readers still act on it.
_JSON_CONTROL = {code: f"\\u{code:04x}" for code in [*range(0x7F, 0xA0), 0x2028, 0x2029]}


def one_line(text: str) -> str:
    """The text with its control characters escaped; the same object if it has none."""
    return text if text.isprintable() else text.translate(_CONTROL)


def json_line(tree: Any, sort_keys: bool = False) -> str:
    """A tree as compact JSON on one line, no line end. What JSON doesn't know is written as its `str`."""
    text = json.dumps(tree, sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, default=str)
    return text if text.isprintable() else text.translate(_JSON_CONTROL)
