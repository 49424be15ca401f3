"""Which filter chain a live connection was given, and why: what `explain` says, about a connection that is there.

The facts by which the chain was chosen are on the connection; the answer is worked out when somebody asks.
"""

from __future__ import annotations

from typing import Iterable, List, NamedTuple, Optional, Tuple

from ..network.address import Address
from ..network.connection import Connection
from .explain import read_question
from .filter_chain import FilterChain
from .lists import Entry


class ChosenFacts:
    """A connection's facts, as `chain_lookup.ConnectionFacts` wants them."""

    def __init__(self, connection: Connection) -> None:
        info = connection.info
        assert connection.remote_address is not None and connection.local_address is not None
        self.remote_address: Address = connection.remote_address
        self.direct_remote_address = _direct(info.downstream_direct_remote_address, connection.remote_address)
        self.local_address: Address = connection.local_address
        self.requested_server_name = info.requested_server_name
        self.transport_protocol: str
        self.application_protocols: Tuple[str, ...]
        self.transport_protocol, self.application_protocols = info.detected


class Chosen(NamedTuple):
    """name: of the filter chain. why: lines; the first says which one it is, the others what ruled out the rest."""

    name: str
    why: List[str]


def chosen_chain(entries: Iterable[Entry], connection: Connection) -> Optional[Chosen]:
    """None for a connection that no listener accepted. entries: all listeners, the draining ones too."""
    chain = connection.owner
    if not isinstance(chain, FilterChain):
        return None
    for entry in entries:
        matcher = entry.listener.matcher
        if entry.name != connection.info.listener_name or not any(chain is one for one in (*matcher.chains, matcher.default)):
            continue
        if len(matcher.chains) + (matcher.default is not None) == 1 and matcher.unconditional is chain:
            return Chosen(chain.name, ["the listener's only filter chain, for every connection"])
        explanation = matcher.explain(ChosenFacts(connection))
        if explanation.chosen is chain:
            return Chosen(chain.name, [part.strip() for part in explanation.text().splitlines()])
    return Chosen(chain.name, ["chosen by a configuration of the listener that has been replaced since"])


def _direct(text: str, remote: Address) -> Address:
    """The peer's own address, where a PROXY header told of another client."""
    if text == remote.text:
        return remote
    return read_question({"direct_src": text}).direct_src or remote
