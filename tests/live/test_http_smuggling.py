"""Requests that two servers may read differently, sent through a running engine to an upstream that believes nothing.

Each family of request smuggling is here (RFC 9112 section 11.2): what reaches the upstream is one well-formed request or
none, the next client gets the answer to its own question, and the answer is Envoy's. The other direction as well: what a bad
upstream says must not reach the wrong client, nor become a second response.
"""

from __future__ import annotations

import os
from typing import Callable, Dict, Iterator, List, NamedTuple, Tuple

import pytest

from tests.support.http_live import Answer, Client, Ended, fetch, http_bootstrap, request
from tests.support.http_upstream import RecordingUpstream
from tests.support.live import Engine

pytestmark = pytest.mark.live

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n"
POST = b"POST /first HTTP/1.1\r\nHost: t\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
ONE = "POST /first hello"  # what arrives of a request whose body is "hello"


class Case(NamedTuple):
    """sent: by the client; statuses: of the answers it gets; arrives: at the upstream; lives: the connection afterwards."""

    sent: bytes
    statuses: List[int]
    arrives: List[str] = []
    lives: bool = False


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST with these header lines, and what follows them."""
    return POST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def headed(*lines: bytes) -> bytes:
    """A GET with these header lines, and a hidden request after it, which is its body if one of the lines says so."""
    return b"GET /first HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


REFUSED = [400]
LENGTHS = {
    "twice, alike": post(b"Content-Length: 5", b"Content-Length: 5", body=b"hello"),
    "twice, different": post(b"Content-Length: 0", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN),
    "a list": post(b"Content-Length: 5, 5", body=b"hello"),
    "a plus sign": post(b"Content-Length: +5", body=b"hello"),
    "a minus sign": post(b"Content-Length: -5", body=b"hello"),
    "in hexadecimal": post(b"Content-Length: 0x5", body=b"hello"),
    "an underscore": post(b"Content-Length: 1_0", body=b"hellohello"),
    "a fraction": post(b"Content-Length: 5.0", body=b"hello"),
    "a space inside": post(b"Content-Length: 1 0", body=b"hello"),
    "empty": post(b"Content-Length:", body=HIDDEN),
    "more than 64 bits": post(b"Content-Length: 18446744073709551621", body=b"hello"),
    "digits that are not ASCII": post("Content-Length: \u0665".encode(), body=b"hello"),
    "a space before the colon": post(b"Content-Length : 5", body=b"hello"),
    "a NUL in it": post(b"Content-Length: 5\0", body=b"hello"),
}
BOTH = {
    "CL.TE": post(b"Content-Length: %d" % (5 + len(HIDDEN)), CHUNKED.strip(), body=b"0\r\n\r\n" + HIDDEN),
    "TE.CL": post(CHUNKED.strip(), b"Content-Length: 4", body=b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"),
    "a folded TE": post(b"Content-Length: 5", b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a TE after a bare LF": POST + b"X: y\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + HIDDEN,
}
CODINGS = {
    "chunked twice": (post(CHUNKED.strip(), CHUNKED.strip(), body=b"0\r\n\r\n" + HIDDEN), 501),
    "chunked and identity": (post(CHUNKED.strip(), b"Transfer-Encoding: identity", body=b"0\r\n\r\n" + HIDDEN), 501),
    "gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "xchunked": (post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + HIDDEN), 501),
    "identity": (post(b"Transfer-Encoding: identity", body=HIDDEN), 501),
    "a quoted chunked": (post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n"), 501),
    "a list with nothing": (post(b"Transfer-Encoding: ,chunked", body=b"0\r\n\r\n"), 501),
    "a vertical tab": (post(b"Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400),
    "a space before the colon": (post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "a tab before the colon": (post(b"Transfer-Encoding\t: chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "a control byte in the name": (post(b"Transfer\x01-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "a NUL in the name": (post(b"Transfer-Encoding\0: chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "a line without a colon": (post(b"Transfer-Encoding chunked", body=b"0\r\n\r\n" + HIDDEN), 400),
    "HTTP/1.0": (b"POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 426),
}
HEADS = {
    "a NUL in a value": headed(b"Host: t", b"X: a\0b"),
    "a bell in a value": headed(b"Host: t", b"X: a\x07b"),
    "a name that is empty": headed(b"Host: t", b": x"),
    "a first line that is folded": b"GET /first HTTP/1.1\r\n Host: t\r\n\r\n",
    "a space in the path": b"GET /first /second HTTP/1.1\r\nHost: t\r\n\r\n",
    "a host with a path": headed(b"Host: t/first"),
    "no host": headed(b"X: y"),
    "another protocol's name": b"GET /first HTTPS/1.1\r\nHost: t\r\n\r\n",
    "x-forwarded-for to be removed by Connection": headed(b"Host: t", b"Connection: close, X-Forwarded-For"),
}
# In a chunked body: the bad size reaches the engine after the request may have gone on, and it must not be completed.
CHUNKS = {
    "0x before the size": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a sign before the size": b"+5\r\nhello\r\n0\r\n\r\n",
    "a space before the size": b" 5\r\nhello\r\n0\r\n\r\n",
    "a size of 64 bits and five": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "a size of 2**64 - 1": b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "an underscore in the size": b"1_0\r\nhellohello\r\n0\r\n\r\n",
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "only an extension": b";x=5\r\nhello\r\n0\r\n\r\n",
    "more data than the size": b"5\r\nhelloX\r\n0\r\n\r\n",
    "less data than the size": b"6\r\nhello\r\n0\r\n\r\n",
    "LF after the size": b"5\nhello\r\n0\r\n\r\n",
    "LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "CR after the size": b"5\rhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "LF after the last chunk": b"5\r\nhello\r\n0\n\n" + HIDDEN,
    "a trailer without a colon": b"5\r\nhello\r\n0\r\nX\r\n\r\n",
    "a trailer with a NUL": b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n",
}


def cases() -> Dict[str, Case]:
    found: Dict[str, Case] = {}
    for kind, group in (("length", LENGTHS), ("both", BOTH), ("head", HEADS)):
        found.update({f"{kind}: {name}": Case(sent, REFUSED) for name, sent in group.items()})
    found.update({f"coding: {name}": Case(sent, [status]) for name, (sent, status) in CODINGS.items()})
    found.update({f"chunk: {name}": Case(POST + CHUNKED + b"\r\n" + body, REFUSED) for name, body in CHUNKS.items()})
    return found


CASES = cases()
