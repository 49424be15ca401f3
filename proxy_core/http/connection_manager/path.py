"""One spelling for each path, as far as the configuration asks for it. Mirrors Envoy's `PathUtil` and `path_utility.cc`.

Place in the data's way: `arrival` asks for the path of each request before it is routed. The query is never touched. Order:
escaped slashes, then dot segments and needless escapes (RFC 3986 section 6.2.2), then repeated slashes.
"""

from __future__ import annotations

import re
from typing import Final, List, NamedTuple

KEEP_UNCHANGED: Final = "KEEP_UNCHANGED"
REJECT_REQUEST: Final = "REJECT_REQUEST"
UNESCAPE_AND_REDIRECT: Final = "UNESCAPE_AND_REDIRECT"
UNESCAPE_AND_FORWARD: Final = "UNESCAPE_AND_FORWARD"

ACCEPTED: Final = "accepted"
REFUSED: Final = "refused"
REDIRECTED: Final = "redirected"

_ESCAPED_SLASH: Final = re.compile("%(2[Ff]|5[Cc])")
_SLASHES: Final = re.compile("//+")
# Escapes of what may stand for itself: letters, digits, "-", ".", "_", "~" (RFC 3986 section 2.3).
_NEEDLESS_ESCAPE: Final = re.compile("%([46][1-9A-Fa-f]|[57][0-9Aa]|3[0-9]|2[DdEe]|5[Ff]|7[Ee])")
_LONE_PERCENT: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_LONE: Final = "\0"  # stands for such a "%" meanwhile; no path has one
_BECOMES_ESCAPE: Final = re.compile(f"{_LONE}(?=[0-9A-Fa-f]{{2}})")
# What may not stand for itself is escaped, as far as Envoy's URL library does it.
_TO_ESCAPE: Final = {ord(character): f"%{ord(character):02X}" for character in '"<>^`{|}'}
# None of these: the path is in its normal form already.
_SUSPICIOUS: Final = re.compile(r"""[\\%"<>^`{|}]|/\.""")


class PathVerdict(NamedTuple):
    """path: with the query, rewritten as far as it goes. outcome: ACCEPTED, REFUSED, or REDIRECTED to that path."""

    path: str
    outcome: str


class PathRules:
    """`normalize_path`, `merge_slashes` and `path_with_escaped_slashes_action`."""

    __slots__ = ("active", "_normalise", "_merge", "_escaped")

    def __init__(self, normalise: bool = False, merge_slashes: bool = False, escaped_slashes: str = KEEP_UNCHANGED) -> None:
        self._normalise = normalise
        self._merge = merge_slashes
        self._escaped = escaped_slashes
        self.active = normalise or merge_slashes or escaped_slashes != KEEP_UNCHANGED

    def apply(self, target: str) -> PathVerdict:
        """What becomes of the path of a request. target: begins with "/"."""
        if "#" in target:
            return PathVerdict(target, REFUSED)
        path, mark, query = target.partition("?")
        outcome = ACCEPTED
        if self._escaped != KEEP_UNCHANGED and "%" in path and _ESCAPED_SLASH.search(path) is not None:
            path = _ESCAPED_SLASH.sub(_slash, path)
            if self._escaped == REJECT_REQUEST:
                outcome = REFUSED
            elif self._escaped == UNESCAPE_AND_REDIRECT:
                outcome = REDIRECTED
        if self._normalise and outcome is not REFUSED:
            if "%00" in path:
                outcome = REFUSED
            else:
                path = normalise_path(path)
        if self._merge and "//" in path and outcome is not REFUSED:
            path = _SLASHES.sub("/", path)
        return PathVerdict(f"{path}{mark}{query}", outcome)


def normalise_path(path: str) -> str:
    """A path without query: dot segments resolved, "\\\\" as "/", each character either escaped or not, but always the same."""
    if _SUSPICIOUS.search(path) is None:
        return path
    if "%" in path:
        path = _unescape(path)
    kept: List[str] = []
    segments = path.replace("\\", "/").translate(_TO_ESCAPE).split("/")[1:]
    for segment in segments:
        bare = segment.partition(";")[0]
        if bare == "..":
            if kept:
                kept.pop()
        elif bare != ".":
            kept.append(segment)
    if segments[-1].partition(";")[0] in (".", "..") or not kept:
        kept.append("")
    return "/" + "/".join(kept)


def _unescape(path: str) -> str:
    """A "%" that begins no escape must not begin one afterwards: the upstream would read "/%%32e%%32e/" as "/../"."""
    marked = _NEEDLESS_ESCAPE.sub(_unescaped, _LONE_PERCENT.sub(_LONE, path))
    return _BECOMES_ESCAPE.sub("%25", marked).replace(_LONE, "%")


def _slash(found: "re.Match[str]") -> str:
    return "/" if found.group(1)[0] == "2" else "\\"


def _unescaped(found: "re.Match[str]") -> str:
    character = chr(int(found.group(1), 16))
    return character if character.isalnum() or character in "-._~" else found.group(0)
