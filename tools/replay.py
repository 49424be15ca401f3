#!/usr/bin/env python3
"""Play the client of a recorded connection to a live port, and compare the answers.

    python3 tools/replay.py tap.jsonl 127.0.0.1:6379                  the first connection, at the recorded times
    python3 tools/replay.py tap.jsonl 127.0.0.1:6379 --connection 17 --fast

The file is what a tap filter wrote. Before each piece it waits for as many bytes of answer as had been recorded before that
piece; with --fast for nothing else. Exits with 0 if the answers are the recorded ones, byte for byte, 1 if not, 2 for a bad
file or address.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from pathlib import Path
from typing import Callable, List, Optional

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from proxy_core.observe.tap import IN, Chunk  # noqa: E402
from proxy_core.testing.replay import recording  # noqa: E402

SAME, DIFFERENT, UNUSABLE = 0, 1, 2
PIECE = 65536


class Player:
    """Plays to a connected socket. clock: seconds. patience: seconds to wait for an answer that was recorded."""

    def __init__(self, sock: socket.socket, fast: bool, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._sock = sock
        self._fast = fast
        self._patience = patience
        self._clock = clock
        self.got = bytearray()
        self.is_over = False  # the other side has ended

    def play(self, chunks: List[Chunk]) -> bytes:
        """All of it; the answer that was recorded."""
        began = self._clock()
        expected = bytearray()
        for chunk in chunks:
            if chunk.direction == IN:
                self._receive(len(expected), self._clock() + self._patience)
                if not self._fast:
                    self._receive(None, began + chunk.t)
                self._send(chunk)
            else:
                expected += chunk.data
        self._receive(len(expected), self._clock() + self._patience)
        return bytes(expected)

    def _send(self, chunk: Chunk) -> None:
        try:
            self._sock.settimeout(self._patience)
            self._sock.sendall(chunk.data)
            if chunk.end:
                self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.is_over = True

    def _receive(self, wanted: Optional[int], until: float) -> None:
        """Until so many bytes have come in all (None: only the time counts), or the time is over."""
        while (wanted is None or len(self.got) < wanted) and self._clock() < until:
            if self.is_over:
                if wanted is not None:
                    return
                time.sleep(max(0.0, until - self._clock()))
                return
            self._sock.settimeout(max(0.001, until - self._clock()))
            try:
                data = self._sock.recv(PIECE)
            except socket.timeout:
                return
            except OSError:
                data = b""
            self.got += data
            self.is_over = not data


def verdict(expected: bytes, got: bytes) -> str:
    """What differs, "" if nothing does."""
    if expected == got:
        return ""
    at = next((index for index, pair in enumerate(zip(expected, got)) if pair[0] != pair[1]), min(len(expected), len(got)))
    return (f"the answers differ at byte {at}: recorded {expected[at:at + 20]!r}, got {got[at:at + 20]!r}; "
            f"{len(expected)} bytes were recorded, {len(got)} came")


def main(arguments: Optional[List[str]] = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", help="what a tap filter wrote")
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--connection", type=int, metavar="ID", help="which of the file, default the first")
    parser.add_argument("--fast", action="store_true", help="do not wait for the recorded times")
    parser.add_argument("--patience", type=float, default=10.0, metavar="S", help="seconds to wait for an answer (default 10)")
    values = parser.parse_args(arguments)
    host, _, port = values.address.rpartition(":")
    try:
        recorded = recording(values.file, values.connection)
        sock = socket.create_connection((host.strip("[]"), int(port)), values.patience)
    except (OSError, ValueError, LookupError) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    with sock:
        player = Player(sock, values.fast, values.patience)
        expected = player.play(recorded.chunks)
    difference = verdict(expected, bytes(player.got))
    print(difference or f"the same {len(expected)} bytes were answered to connection {recorded.connection_id}")
    return DIFFERENT if difference else SAME


if __name__ == "__main__":
    sys.exit(main())
