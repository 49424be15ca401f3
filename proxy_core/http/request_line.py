"""The request line and what its target means (RFC 9112 section 3).

Place in the data's way: the request head reader calls `parse_request_line` as soon as the line is there, so
that garbage and TLS on a plaintext port are answered at once, and `resolve_target` when the head is complete.
Mirrors `BalsaParser::OnRequestFirstLineInput` and `ServerConnectionImpl::handlePath` of Envoy, whose answers
were measured.
"""

from __future__ import annotations

import re
from typing import Final, FrozenSet, Optional, Tuple

from .events import HTTP_10, HTTP_11
from .head_block import check_characters, is_token
from .settings import (
    HTTPS_ON_PLAINTEXT,
    INVALID_SCHEME,
    INVALID_URL,
    Http1Settings,
    ProtocolError,
)

METHODS: Final[FrozenSet[str]] = frozenset(
    """ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH
    NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE
    UNBIND UNLINK UNLOCK UNSUBSCRIBE""".split()
)

# "HTTP/0.9": no version in the line, and no header lines after it. Not a version that anybody sends by that
# name.
NO_VERSION: Final = "no version"

_VERSION: Final = re.compile(r"HTTP/[0-9]\.[0-9]").fullmatch
_BLANKS: Final = re.compile(r"[ \t]+")
_HOST: Final = r"[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*"
_ORIGIN_OR_STAR: Final = re.compile(r"[/*][!-~]*").fullmatch
_ABSOLUTE: Final = re.compile(rf"([A-Za-z][A-Za-z0-9+.\-]*)://({_HOST})((?:[/?][!-~]*)?)").fullmatch
_CONNECT: Final = re.compile(rf"{_HOST}(?:[/?][!-~]*)?").fullmatch
_HOST_AND_PORT: Final = re.compile(r"(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]+))?").fullmatch

is_authority: Final = re.compile(_HOST).fullmatch

RequestLine = Tuple[str, str, str]  # method, target, version


# What a target means: scheme ("" if not said), authority (None if the host header says it), path.
Destination = Tuple[str, Optional[str], str]


def is_plain(line: RequestLine) -> bool:
    """Whether the line says nothing that matters for the meaning of the header lines: HTTP/1.1, origin form, no CONNECT."""
    method, target, version = line
    return version is HTTP_11 and target[0] == "/" and method != "CONNECT"


def parse_request_line(raw: bytes, settings: Http1Settings) -> RequestLine:
    """The method, target and version (HTTP_11, HTTP_10 or NO_VERSION) of a request line without its LF.

    Raises ProtocolError (400).
    """
    if raw[-1:] == b"\r":
        raw = raw[:-1]
    parts = raw.decode("latin-1").split(" ")
    if len(parts) == 3 and parts[2] == HTTP_11:
        method, target, _ = parts
        # Printable ASCII: isprintable() alone lets letters above 0x7f through. No blank is left by split().
        if target[:1] == "/" and method in METHODS and target.isascii() and target.isprintable():
            if method != "CONNECT":
                return method, target, HTTP_11
    return _parse_unusual_line(raw, settings)


def _parse_unusual_line(raw: bytes, settings: Http1Settings) -> RequestLine:
    check_characters(raw)
    # Several blanks or TABs between the parts, and blanks or CRs at the end of the line, are tolerated as in
    # Envoy; a blank in front, a fourth part, or a CR between parts is not.
    parts = _BLANKS.split(raw.decode("latin-1").rstrip("\r \t"))
    if len(parts) not in (2, 3) or not parts[0]:
        raise ProtocolError("malformed request line")
    method, target = parts[0], parts[1]
    known = is_token(method) is not None if settings.allow_custom_methods else method in METHODS
    if not known:
        raise ProtocolError("unknown method")
    if not _is_target(target, method == "CONNECT"):
        raise ProtocolError("malformed request target")
    if len(parts) == 2:
        if target.endswith(HTTP_11):  # a blank is missing; most probably not HTTP/0.9
            raise ProtocolError("malformed request line")
        return method, target, NO_VERSION
    if _VERSION(parts[2]) is None:
        raise ProtocolError("malformed version")
    return method, target, HTTP_11 if parts[2] == HTTP_11 else HTTP_10


def _is_target(target: str, connect: bool) -> bool:
    if _ORIGIN_OR_STAR(target) is not None:
        return True
    if connect:
        return _CONNECT(target) is not None and "@@" not in target
    absolute = _ABSOLUTE(target)
    return absolute is not None and "@@" not in absolute.group(2)


def resolve_target(method: str, target: str, settings: Http1Settings) -> Destination:
    """What a target that `parse_request_line` let through asks for. Raises ProtocolError (400, 403).

    The authority of an absolute-form target replaces the host header (RFC 9112 section 3.2.2), so that no two
    parties can go by different ones.
    """
    if method == "CONNECT":
        return ("", _checked_host(target, port_needed=True), "")
    if target[0] == "/" or (target[0] == "*" and method == "OPTIONS") or not settings.allow_absolute_url:
        return ("", None, target)
    absolute = _ABSOLUTE(target)
    if absolute is None:
        raise ProtocolError("invalid URL in the request line", details=INVALID_URL)
    scheme, authority, path = absolute.group(1).lower(), absolute.group(2), absolute.group(3)
    if "@" in authority:
        authority = authority.partition("@")[2]  # user information is not part of a host
    authority = _checked_host(authority, port_needed=False)
    if scheme not in ("http", "https"):
        raise ProtocolError("invalid scheme in the request line", details=INVALID_SCHEME)
    if scheme == "https" and settings.validate_scheme:
        raise ProtocolError("https URL on a plaintext connection", 403, HTTPS_ON_PLAINTEXT)
    return (scheme, authority, path or "/")


def _checked_host(host: str, port_needed: bool) -> str:
    match = _HOST_AND_PORT(host)
    if match is not None:
        port = match.group(1)
        if port is None and not port_needed:
            return host
        if port is not None and len(port.lstrip("0")) <= 5 and int(port.lstrip("0") or "0") <= 65535:
            return host
    raise ProtocolError("invalid URL in the request line", details=INVALID_URL)
