"""Every system call on a socket, and every errno this package knows. No other module names one.

The calls return what happened in one of three forms: a value, None for "would block", or one exception, `ConnectionLost`, that
says whether the peer reset us. Accepting and binding have their own small vocabulary, since running out of descriptors is
nobody's connection.

Some facts about closing that the connection builds on:

* `close()` with bytes unread in the kernel sends RST, not FIN, and the RST destroys what the peer has not read yet.
* `SO_LINGER` (on, 0) makes `close()` send RST on purpose and throws away what is still queued.
* After an RST arrived, bytes received before it can still be read; the error is reported when they are gone.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import stat
import struct
import sys
from typing import Any, Callable, Final, Iterable, List, Optional, Tuple

from ..buffer import Buffer
from ..errors import PeerError
from .address import Address

# What one flush may send before other connections get their turn.
MOST_WRITTEN_PER_TURN: Final = 1 << 20
# Up to this many bytes are joined into one `send`; above, `sendmsg` avoids the copy.
JOIN_UP_TO: Final = 16384
MOST_CHUNKS_PER_CALL: Final = 64

_SPLICE_FLAGS: Final = getattr(os, "SPLICE_F_NONBLOCK", 0) | getattr(os, "SPLICE_F_MOVE", 0)
_NONBLOCK: Final = getattr(socket, "SOCK_NONBLOCK", 0)  # saves a call where the system has it
_INHERITS_NODELAY: Final = sys.platform == "linux"  # accepted sockets take TCP_NODELAY from the listening one

_WOULD_BLOCK = (BlockingIOError, InterruptedError)
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_NO_LINGER = struct.pack("ii", 1, 0)
_FIONREAD = 0x541B  # Linux; what termios.FIONREAD is, without importing a module some builds lack
_SIOCOUTQ = 0x5411


class ConnectionLost(PeerError):
    """The connection is gone without an orderly end. `reset`: by the peer's RST. `transport_failure`: Envoy's text for access
    logs where the security layer ended it."""

    transport_failure = ""

    def __init__(self, error: OSError) -> None:
        super().__init__(describe(error.errno))
        self.reset = error.errno == errno.ECONNRESET


class StreamSocket(socket.socket):
    """A socket of a connection, made and closed by the C type that `socket.socket` wraps: no enum members are made of its
    family and type, and no file objects are counted, so there is no `makefile` and no `with`. 4 % of the user time of
    a short connection.
    """

    __slots__ = ()

    __init__ = socket.SocketType.__init__
    close = socket.SocketType.close


def lost_by(error: Exception) -> Optional[ConnectionLost]:
    """What the exception of a `recv` means: None if there was nothing to read yet, else the loss."""
    if isinstance(error, ConnectionLost):
        return error
    if isinstance(error, OSError):
        return None if isinstance(error, _WOULD_BLOCK) else ConnectionLost(error)
    raise error


class OutOfDescriptors(Exception):
    """The process or the system has no descriptor left for `accept`."""


def describe(number: Optional[int]) -> str:
    """The system's sentence for an errno ("Connection refused")."""
    return os.strerror(number) if number else "unknown error"


# -- bytes -------------------------------------------------------------------------------------------------------------

def receive(sock: socket.socket, size: int) -> Optional[bytes]:
    """Up to `size` bytes; b"" at the peer's FIN; None if nothing is there yet. Raises ConnectionLost."""
    try:
        return sock.recv(size)
    except _WOULD_BLOCK:
        return None
    except OSError as error:
        raise ConnectionLost(error) from None


def send(sock: socket.socket, data: Buffer) -> int:
    """Send from the front of `data` until it is empty, the socket is full or a turn's share is used up.

    Drains what was sent and returns its size. Raises ConnectionLost.
    """
    total = 0
    try:
        chunks = data.chunks
        if len(chunks) == 1 and not data.start:  # nearly always
            total = sock.send(chunks[0])
            if total == data.size:
                chunks.clear()
                data.size = 0
            else:
                data.drain(total)
            return total
        while data.size:
            offered = data.size
            front = data.front()
            if len(front) == offered:
                sent = sock.send(front)
            elif offered <= JOIN_UP_TO:
                sent = sock.send(data.peek(offered))
            else:
                pieces = data.gather(MOST_WRITTEN_PER_TURN, MOST_CHUNKS_PER_CALL)
                offered = sum(map(len, pieces))
                sent = sock.sendmsg(pieces)
            total += sent
            if sent == data.size:
                data.clear()
                break
            data.drain(sent)
            if sent < offered or total >= MOST_WRITTEN_PER_TURN:
                break
    except _WOULD_BLOCK:
        return total
    except OSError as error:
        raise ConnectionLost(error) from None
    return total


class NoSplice(Exception):
    """The system can't splice these descriptors."""


def splice(source: int, target: int, size: int) -> Optional[int]:
    """Move up to `size` bytes inside the kernel, one of the two being a pipe. 0 at the end of the source's stream, None if
    nothing can be moved now. Raises NoSplice, ConnectionLost."""
    try:
        return os.splice(source, target, size, flags=_SPLICE_FLAGS)
    except _WOULD_BLOCK:
        return None
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
            raise NoSplice(describe(error.errno)) from None
        raise ConnectionLost(error) from None


def send_fin(sock: socket.socket) -> None:
    """Half-close: tell the peer that no more bytes follow. A peer that is gone already is found out by reading."""
    try:
        sock.shutdown(socket.SHUT_WR)
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.EINVAL, errno.ECONNRESET, errno.EPIPE):
            raise


def close(sock: socket.socket, reset: bool = False) -> None:
    """Close for good; with `reset` the peer gets RST instead of FIN and unsent bytes are dropped."""
    if reset and sock.family != socket.AF_UNIX:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        except OSError as error:
            if error.errno != errno.EINVAL:  # some systems refuse the option on a socket the peer has reset
                raise
    sock.close()


def pending_error(sock: socket.socket) -> int:
    """SO_ERROR: the errno waiting on the socket, 0 for none. Reading it clears it."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def lost(number: int) -> ConnectionLost:
    """The exception for an errno found by `pending_error`."""
    return ConnectionLost(OSError(number, describe(number)))


def kernel_queues(sock: socket.socket) -> Tuple[Optional[int], Optional[int]]:
    """Bytes in the kernel: (received and unread, sent and unacknowledged). None where the system can't say."""
    if sys.platform != "linux":
        return None, None
    import fcntl
    counts: List[Optional[int]] = []
    for request in (_FIONREAD, _SIOCOUTQ):
        answer = array.array("i", [0])
        try:
            fcntl.ioctl(sock.fileno(), request, answer)
        except OSError:
            counts.append(None)
        else:
            counts.append(answer[0])
    return counts[0], counts[1]


# -- connecting --------------------------------------------------------------------------------------------------------

def new_stream(address: Address) -> socket.socket:
    """A non-blocking stream socket of the address' family, TCP_NODELAY set. Raises OSError, also when out of them."""
    sock: socket.socket = StreamSocket(address.family, socket.SOCK_STREAM | _NONBLOCK)
    if not _NONBLOCK:
        sock.setblocking(False)
    set_nodelay(sock, address.family)
    return sock


def bind_source(sock: socket.socket, source: Address) -> Optional[str]:
    """Have `sock` connect from `source`. None if that is possible; else why not."""
    if sock.family != source.family:
        return describe(errno.EAFNOSUPPORT)
    try:
        sock.bind(source.sockaddr)
    except OSError as error:
        return describe(error.errno)
    return None


def start_connect(sock: socket.socket, address: Address) -> Optional[str]:
    """Begin to connect. None while it is under way (or done); else why it failed at once."""
    try:
        number = sock.connect_ex(address.sockaddr)
    except OSError as error:  # a Unix path that is too long never reaches the kernel, and has no errno
        return describe(error.errno) if error.errno else str(error)
    if number in (0, errno.EINPROGRESS, errno.EINTR):
        return None
    if number == errno.EAGAIN and address.family != socket.AF_UNIX:
        return None
    return describe(number)


def finish_connect(sock: socket.socket, address: Address) -> Optional[int]:
    """Ask what became of `start_connect`: 0 connected, None still under way, else the errno of the failure."""
    number = sock.connect_ex(address.sockaddr)
    if number in (0, errno.EISCONN):
        return 0
    return None if number in (errno.EALREADY, errno.EINPROGRESS, errno.EINTR) else number


def set_nodelay(sock: socket.socket, family: int) -> None:
    """Send small segments at once: a proxy must not add Nagle's delay. No-op on Unix sockets."""
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def set_keepalive(sock: socket.socket, probes: Optional[int], time: Optional[int], interval: Optional[int]) -> None:
    """TCP keepalive: probes before giving up, seconds of silence before the first, seconds between. None = system's."""
    if sock.family == socket.AF_UNIX or 0 in (probes, time, interval):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPCNT", probes), ("TCP_KEEPIDLE", time), ("TCP_KEEPINTVL", interval)):
        option = getattr(socket, name, None)
        if option is not None and value is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def set_freebind(sock: socket.socket, on: bool) -> None:
    """Let the socket be bound to an address that the system does not have yet. Raises OSError, also where there is no such
    thing (it is Linux's)."""
    _set_ip_option(sock, 15, 78, on)  # IP_FREEBIND, IPV6_FREEBIND


def set_transparent(sock: socket.socket, on: bool) -> None:
    """Let the socket take, and answer, connections to addresses that are not the system's (Linux's TPROXY; needs
    CAP_NET_ADMIN). Raises OSError."""
    _set_ip_option(sock, 19, 75, on)  # IP_TRANSPARENT, IPV6_TRANSPARENT


def _set_ip_option(sock: socket.socket, v4: int, v6: int, on: bool) -> None:
    if sock.family == socket.AF_UNIX:
        return
    if sys.platform != "linux":
        raise OSError(errno.ENOPROTOOPT, describe(errno.ENOPROTOOPT))
    level, option = (socket.IPPROTO_IPV6, v6) if sock.family == socket.AF_INET6 else (socket.IPPROTO_IP, v4)
    sock.setsockopt(level, option, int(on))


def set_fast_open(sock: socket.socket, queue_length: int) -> None:
    """TCP Fast Open (RFC 7413) on a listening socket: how many unfinished ones may wait, 0 = off. Raises OSError."""
    option = getattr(socket, "TCP_FASTOPEN", None)
    if sock.family == socket.AF_UNIX:
        return
    if option is None:
        raise OSError(errno.ENOPROTOOPT, describe(errno.ENOPROTOOPT))
    sock.setsockopt(socket.IPPROTO_TCP, option, queue_length)


def share_port(sock: socket.socket) -> None:
    """Let a second socket, made with `reuse_port`, be bound where this one is."""
    if sock.family != socket.AF_UNIX and hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def local_address(sock: socket.socket) -> Address:
    """Where this socket is bound."""
    return Address.from_sockaddr(sock.family, sock.getsockname())


def local_address_text(sock: socket.socket, family: int) -> str:
    """The printed form of where this socket is bound; "" if it is not."""
    try:
        name = sock.getsockname()
    except OSError:
        return ""
    return "%s:%d" % name if family == socket.AF_INET else Address.from_sockaddr(family, name).text


# -- accepting ---------------------------------------------------------------------------------------------------------

def bind(
    address: Address, reuse_port: bool, configure: Iterable[Callable[[socket.socket], None]] = ()
) -> socket.socket:
    """A non-blocking socket that is bound and refuses clients until its `listen` is called. `configure` is called with it
    before the bind. Raises OSError."""
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if address.family == socket.AF_UNIX:
            _remove_stale_socket(address)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            set_nodelay(sock, address.family)
            if reuse_port and hasattr(socket, "SO_REUSEPORT"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if address.ipv4_compat else 1)
        for step in configure:
            step(sock)
        sock.bind(address.sockaddr)
        if address.mode and not address.is_abstract:
            os.chmod(address.path, address.mode)
    except OSError:
        sock.close()
        raise
    return sock


def accept(sock: socket.socket, family: int) -> Optional[Tuple[socket.socket, Any]]:
    """The next waiting connection and its peer's address, non-blocking and NODELAY; None when none waits.

    family: the listening socket's; asking the socket object makes an enum member each time.

    Raises OutOfDescriptors. A client that left while it waited is skipped, as accept(2) asks to do.
    """
    listening: Any = sock  # no stub knows `_accept`, on which `socket.accept` is built
    while True:
        try:
            fd, peer = listening._accept()
        except _WOULD_BLOCK:
            return None
        except ConnectionError:
            continue
        except OSError as error:
            if error.errno in _OUT_OF_DESCRIPTORS:
                raise OutOfDescriptors(describe(error.errno)) from None
            if error.errno in (errno.EINVAL, errno.EBADF):
                raise
            continue  # the network error of one waiting connection (accept(2), "Error handling")
        accepted = StreamSocket(family, socket.SOCK_STREAM, 0, fd)
        accepted.setblocking(False)
        if not _INHERITS_NODELAY:
            try:
                set_nodelay(accepted, family)
            except OSError:
                accepted.close()  # reset between the handshake and now
                continue
        return accepted, peer


def open_reserve() -> Optional[int]:
    """A descriptor kept for the day when there is none left; None if that day is now."""
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return None


def _remove_stale_socket(address: Address) -> None:
    """Unlink a socket file nobody listens on. A file of another kind, or a live server, makes `bind` fail as it should."""
    if address.is_abstract:
        return
    try:
        if not stat.S_ISSOCK(os.stat(address.path).st_mode):
            return
    except OSError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        if probe.connect_ex(address.sockaddr) == errno.ECONNREFUSED:
            os.unlink(address.path)
