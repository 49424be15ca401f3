"""For tests of the inspectors: ClientHellos made by hand, by a real TLS library, and the engine's side of a listener filter."""

from __future__ import annotations

import ssl
from typing import Any, Dict, Optional, Sequence, Tuple, Type

from proxy_core.config.decode import decode
from proxy_core.config.fields import TypeRegistry
from proxy_core.filters.api import CONTINUE
from proxy_core.filters.registry import ListenerFilterExtension
from proxy_core.observe.stats import StatsStore
from proxy_core.observe.stream_info import StreamInfo


def u16(number: int) -> bytes:
    return number.to_bytes(2, "big")


def v8(content: bytes) -> bytes:
    return bytes([len(content)]) + content


def v16(content: bytes) -> bytes:
    return u16(len(content)) + content


def extension(kind: int, content: bytes = b"") -> bytes:
    return u16(kind) + v16(content)


def sni(name: bytes, kind: int = 0) -> bytes:
    return extension(0, v16(bytes([kind]) + v16(name)))


def alpn(*names: bytes) -> bytes:
    return extension(16, v16(b"".join(v8(name) for name in names)))


def versions(*numbers: int) -> bytes:
    return extension(43, v8(b"".join(u16(number) for number in numbers)))


def body(
    extensions: Optional[bytes] = b"", version: int = 0x0303, ciphers: Sequence[int] = (0x1301, 0xC02F, 0x9C),
    session_id: bytes = b"", compressions: bytes = b"\0", tail: bytes = b"",
) -> bytes:
    """The body of a ClientHello. extensions: None leaves out even their length."""
    head = u16(version) + bytes(range(32)) + v8(session_id) + v16(b"".join(u16(one) for one in ciphers)) + v8(compressions)
    return head + (b"" if extensions is None else v16(extensions)) + tail


def handshake(content: bytes, kind: int = 1) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3, "big") + content


def record(content: bytes, version: int = 0x0301, kind: int = 22) -> bytes:
    return bytes([kind]) + u16(version) + v16(content)


def records(content: bytes, size: int) -> bytes:
    return b"".join(record(content[at:at + size]) for at in range(0, len(content), size))


def hello(extensions: Optional[bytes] = b"", **fields: Any) -> bytes:
    """A ClientHello in one record."""
    return record(handshake(body(extensions, **fields)))


def v2_hello(
    specs: Sequence[int] = (0x9C,), version: int = 0x0301, challenge: bytes = bytes(16), session_id: bytes = b"",
    tail: bytes = b"",
) -> bytes:
    """The same in the form of SSLv2. specs: 3-byte cipher specifications."""
    ciphers = b"".join(spec.to_bytes(3, "big") for spec in specs)
    sizes = u16(len(ciphers)) + u16(len(session_id)) + u16(len(challenge))
    content = b"\1" + u16(version) + sizes + ciphers + session_id + challenge + tail
    return u16(0x8000 | len(content)) + content


def real_hello(
    name: Optional[str] = None, protocols: Sequence[str] = (), lowest: Optional[ssl.TLSVersion] = None,
    highest: Optional[ssl.TLSVersion] = None,
) -> bytes:
    """What Python's TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if lowest is not None:
        context.minimum_version = lowest
    if highest is not None:
        context.maximum_version = highest
    if protocols:
        context.set_alpn_protocols(list(protocols))
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


class FakeSocket:
    """`AcceptedSocket`, as far as the inspectors use it."""

    def __init__(self) -> None:
        self.transport_protocol = ""
        self.application_protocols: Tuple[str, ...] = ()
        self.requested_server_name = ""
        self.ja3_hash = ""
        self.ja4_hash = ""
        self.info = StreamInfo(1, 0.0, 0.0)


class Inspected:
    """One socket in front of one filter; bytes are given as the engine gives them, all of them each time, never more at once
    than the filter asks for.

    verdict: "passed", "closed" (by the filter), "waits", or "refused": it wanted more when there could be no more.
    """

    def __init__(self, make: Any, transport_protocol: str = "") -> None:
        self.socket = FakeSocket()
        self.socket.transport_protocol = transport_protocol
        self.reason = ""
        self.verdict = "waits"
        self.data = bytearray()
        self.calls = 0
        self.filter = make()
        if self.filter.on_accept(self) is CONTINUE:
            self.verdict = "passed"

    def reject(self, reason: str, details: str = "") -> None:
        self.reason = reason
        self.verdict = "closed"

    def feed(self, *pieces: bytes, ended: bool = False) -> Inspected:
        """Pieces as they come; then, with `ended`, the peer's end."""
        for piece in pieces:
            rest = piece
            while rest and self.verdict == "waits":
                count = self.filter.most_bytes - len(self.data)
                if count <= 0:
                    self.verdict = "refused"
                    return self
                self.data += rest[:count]
                rest = rest[count:]
                self.ask(False)
        if ended and self.verdict == "waits":
            self.ask(True)
            self.verdict = "refused" if self.verdict == "waits" else self.verdict
        return self

    def ask(self, ended: bool) -> None:
        """One call into the filter with what is there."""
        self.calls += 1
        before = bytes(self.data)
        status = self.filter.on_data(self.data, ended)
        assert bytes(self.data) == before, "an inspector consumes nothing"
        if status is CONTINUE:
            assert self.verdict == "waits", "rejected and passed"
            self.verdict = "passed"

    def facts(self) -> Dict[str, Any]:
        """All that a later reader could see of it."""
        socket, info = self.socket, self.socket.info
        return {
            "verdict": self.verdict, "transport": socket.transport_protocol, "protocols": socket.application_protocols,
            "name": socket.requested_server_name, "logged name": info.requested_server_name, "ja3": socket.ja3_hash,
            "ja4": socket.ja4_hash, "metadata": dict(info.dynamic_metadata),
        }


class Context:
    """`ListenerFilterContext`, with nothing but stats."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stats = StatsStore(lambda: self.now)

    def value(self, name: str) -> int:
        return self.stats.counters[name].value


def prepare(extension_: ListenerFilterExtension, context: Context, **config: Any) -> Any:
    """What makes the filters of one listener, from its configuration in JSON."""
    message: Type[Any] = extension_.config
    known = TypeRegistry([message])
    engine_side: Any = context
    return extension_.build(decode(message, config, known), engine_side)
