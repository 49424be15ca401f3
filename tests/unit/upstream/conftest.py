"""Hosts that answer, refuse, or do neither."""

from __future__ import annotations

import contextlib
import socket
from typing import Iterator

import pytest

from tests.support.peers import RefusedPort, Server


@pytest.fixture
def server() -> Iterator[Server]:
    with contextlib.closing(Server()) as one:
        yield one


@pytest.fixture
def refused() -> Iterator[RefusedPort]:
    with contextlib.closing(RefusedPort()) as one:
        yield one


@pytest.fixture
def silent() -> Iterator[Server]:
    """A port whose queue is full: SYNs to it stay unanswered."""
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(contextlib.closing(Server(backlog=0)))
        for _ in range(3):
            waiting = stack.enter_context(contextlib.closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", one.port))
        yield one
