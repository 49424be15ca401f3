"""The query of a path, as far as tokens are looked for and taken out of it."""

from __future__ import annotations

from typing import List, Tuple
from urllib.parse import unquote


def decoded_parameters(path: str) -> List[Tuple[str, str]]:
    """Names and values, percent-decoded to characters of the wire."""
    _, _, query = path.partition("#")[0].partition("?")
    return [(_decode(name), _decode(value)) for name, _, value in (one.partition("=") for one in query.split("&"))]


def without_parameter(path: str, name: str) -> str:
    """The path without the parameters of this (decoded) name. The others stay as they are written."""
    target, hash_mark, fragment = path.partition("#")
    before, mark, query = target.partition("?")
    if not mark:
        return path
    kept = [one for one in query.split("&") if _decode(one.partition("=")[0]) != name]
    return before + (f"?{'&'.join(kept)}" if kept else "") + hash_mark + fragment


def _decode(text: str) -> str:
    return unquote(text, encoding="latin-1") if "%" in text else text
