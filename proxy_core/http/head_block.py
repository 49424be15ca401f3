"""Header lines: from the bytes between the start line and the empty line to a `Headers`.

Place in the data's way: the request and response head readers call `parse_header_lines` with a complete
block; the chunked reader calls it for trailers. Answers and their order are Envoy's (Balsa parser, measured
with 1.40.0): first forbidden bytes anywhere in the block, then names, then the number of lines.

The plan is a few C calls per block and five per line. A name is looked up as it was spelt: the names that
everybody sends are in a table in their two usual spellings, and whatever is not there is checked and lowered
the long way. The irregular forms that Envoy accepts (bare LF, CR inside a value, folded lines) are noticed by
counting, and only then is the block rewritten into regular lines.
"""

from __future__ import annotations

import re
from typing import Dict, Final, FrozenSet, List

from .headers import Headers, Pair
from .settings import (
    INVALID_CHARACTERS,
    TOO_MANY_HEADERS,
    UNEXPECTED_UNDERSCORE,
    Http1Settings,
    ProtocolError,
    UnderscoreAction,
)

ALLOW: Final = UnderscoreAction.ALLOW

# What no header may hold: every control character but TAB, and CR and LF, which are looked at as line ends.
_FORBIDDEN: Final = bytes(code for code in range(32) if code not in b"\t\r\n") + b"\x7f"
_FORBIDDEN_OR_END: Final = _FORBIDDEN + b"\r\n"

# RFC 9110 section 5.6.2.
is_token: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch

# Repeats of these are joined with "," at the place of the first one; all other names stay separate lines.
# They are the names Envoy keeps in fixed slots. Measured, since a filter that reads the first value must see
# the same as there.
REQUEST_JOINED: Final[FrozenSet[str]] = frozenset(
    """accept accept-encoding access-control-request-headers access-control-request-method
    access-control-request-private-network authorization cache-control cdn-loop connection content-encoding
    content-type expect grpc-accept-encoding grpc-timeout host if-match if-modified-since if-none-match
    if-range if-unmodified-since keep-alive origin pragma proxy-connection proxy-status referer te
    transfer-encoding upgrade user-agent via x-client-trace-id x-envoy-attempt-count
    x-envoy-decorator-operation x-envoy-downstream-service-cluster x-envoy-downstream-service-node
    x-envoy-expected-rq-timeout-ms x-envoy-external-address x-envoy-force-trace
    x-envoy-hedge-on-per-try-timeout x-envoy-internal x-envoy-ip-tags x-envoy-is-timeout-retry
    x-envoy-max-retries x-envoy-original-host x-envoy-original-path x-envoy-original-url
    x-envoy-retriable-header-names x-envoy-retriable-status-codes x-envoy-retry-grpc-on x-envoy-retry-on
    x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms
    x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms
    x-envoy-upstream-stream-duration-ms x-forwarded-client-cert x-forwarded-for x-forwarded-host
    x-forwarded-port x-forwarded-proto x-request-id""".split()
)
RESPONSE_JOINED: Final[FrozenSet[str]] = frozenset(
    """access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-allow-private-network access-control-expose-headers
    access-control-max-age age cache-control connection content-encoding content-type date etag expires
    grpc-message grpc-status keep-alive last-modified location proxy-connection proxy-status server
    transfer-encoding upgrade vary via x-envoy-attempt-count x-envoy-decorator-operation x-envoy-degraded
    x-envoy-immediate-health-check-fail x-envoy-ratelimited x-envoy-upstream-canary
    x-envoy-upstream-healthchecked-cluster x-envoy-upstream-service-time x-request-id""".split()
)
TRAILERS_JOINED: Final[FrozenSet[str]] = frozenset()
_FRAMING: Final = frozenset({"content-length", "transfer-encoding"})

_OTHER_FREQUENT: Final = """
    accept-language accept-ranges content-disposition content-language content-length content-range
    cookie dnt forwarded if-none-match link max-forwards priority proxy-authorization range retry-after
    sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site
    sec-fetch-user sec-websocket-accept sec-websocket-extensions sec-websocket-key
    sec-websocket-protocol sec-websocket-version set-cookie strict-transport-security traceparent
    tracestate trailer upgrade-insecure-requests www-authenticate x-content-type-options x-frame-options
    x-powered-by x-real-ip x-requested-with""".split()


def _spellings() -> Dict[str, str]:
    names = REQUEST_JOINED | RESPONSE_JOINED | frozenset(_OTHER_FREQUENT)
    return {spelling: name for name in names for spelling in (name, name.title())}


_KNOWN_NAMES: Final = _spellings()


def check_characters(raw: bytes) -> None:
    """Raises ProtocolError if a byte is in `raw` that no part of a head may hold (RFC 9110 section 5.5)."""
    if len(raw.translate(None, _FORBIDDEN)) != len(raw):
        raise ProtocolError("control character in the head", details=INVALID_CHARACTERS)


def parse_header_lines(block: bytes, joined: FrozenSet[str], settings: Http1Settings) -> Headers:
    """The headers of a block of complete lines, the empty line not among them.

    joined: names whose repeats become one comma-separated value. Raises ProtocolError.
    """
    lines = _regular_lines(block)
    first: Dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        known = _KNOWN_NAMES.get(name)
        if known is None or not colon:
            known = _checked_name(name, colon)
        first[known] = value.strip(" \t")
    headers = Headers.of_unique(first) if len(first) == len(lines) else _with_repeats(lines, joined)
    if settings.headers_with_underscores_action is not ALLOW and (joined is not TRAILERS_JOINED or settings.enable_trailers):
        headers = _apply_underscore_action(headers, settings)
    if len(headers) > settings.max_headers_count:
        raise ProtocolError("too many header lines", 431, TOO_MANY_HEADERS)
    return headers


def _regular_lines(block: bytes) -> List[str]:
    text = block.decode("latin-1")
    lines = text.split("\r\n")
    ending = lines.pop()  # what follows the last CRLF: "" in a regular block
    # One pass for all that is rare: if there are as many CRs and LFs as the line ends account for, and
    # nothing forbidden, then exactly that many bytes go.
    plain = len(block) - 2 * len(lines)
    if ending or len(block.translate(None, _FORBIDDEN_OR_END)) != plain or "\n " in text or "\n\t" in text:
        check_characters(block)
        return _unfolded_lines(text)
    return lines


def _unfolded_lines(text: str) -> List[str]:
    # What Balsa makes of the irregular forms: LF ends a line, a line that starts with a blank goes on where
    # the last one stopped (obs-fold, RFC 9112 section 5.2), and CRs within a value vanish. A CR within a name
    # stays, to be refused.
    # Pieces are collected and joined once: 60 KB of folds joined one by one would be copied 20,000 times.
    groups: List[List[str]] = []
    for line in text.split("\n")[:-1]:
        if line[:1] not in (" ", "\t"):
            groups.append([line])
        elif groups:
            groups[-1].append(line)
        else:
            raise ProtocolError("first header line starts with a blank")
    regular = []
    for group in groups:
        name, colon, value = "".join(group).partition(":")
        if name.lower() in _FRAMING and any("\r" in line[:-1] for line in group):
            # Envoy refuses "5\r0" as a length, and for "c\rhunked" sees no coding: nobody else need see ours.
            raise ProtocolError("CR in a header that frames the message")
        regular.append(name + colon + value.replace("\r", ""))
    return regular


def _checked_name(name: str, colon: str) -> str:
    if not colon:
        raise ProtocolError("header line without a colon")
    if is_token(name) is None:
        # A blank before the colon lands here too: some servers take "Content-Length : 5", others ignore it.
        raise ProtocolError("invalid header name")
    return name.lower()


def _with_repeats(lines: List[str], joined: FrozenSet[str]) -> Headers:
    # In one pass over the lines, since 60 KB hold thousands of them.
    pairs: List[Pair] = []
    values: Dict[str, List[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name in values:
            if name == "content-length":
                # Even identical ones: RFC 9110 section 8.6 lets us refuse; the next hop may pick another.
                raise ProtocolError("more than one content-length")
            if value or name in _FRAMING:
                values[name].append(value)
            continue
        if name in joined or name == "content-length":
            values[name] = [value] if value or name in _FRAMING else []
        pairs.append((name, value))
    # Empty values vanish, but where the body's end depends on them: "chunked" and "" must not come out as "chunked", which
    # Envoy takes for no coding at all.
    return Headers((name, ",".join(values[name]) if name in values else value) for name, value in pairs)


def _apply_underscore_action(headers: Headers, settings: Http1Settings) -> Headers:
    kept = [pair for pair in headers.items() if "_" not in pair[0]]
    if len(kept) == len(headers):
        return headers
    if settings.headers_with_underscores_action is UnderscoreAction.REJECT_REQUEST:
        raise ProtocolError("underscore in a header name", details=UNEXPECTED_UNDERSCORE)
    settings.on_dropped_headers(len(headers) - len(kept))
    return Headers(kept)
