"""Why a connection gets its filter chain, and what ruled out each other one.

The nine steps once more, over lists instead of a prepared tree: slower, and it sees everything. A chain goes
at the first criterion that it fails, for one of two reasons: its own condition differs from what was found,
or it would fit and another chain that is still in the running fits more closely. The second is final even if
that other chain fails later: there is no way back.
"""

from __future__ import annotations

from typing import (
    Any, Callable, Dict, Final, Generic, List, NamedTuple, Optional, Protocol, Sequence, Tuple, TypeVar,
)

from ..config import chain_criteria as criteria
from ..config.chain_criteria import ANY_TEXT, CRITERIA, Key, Keys, keys_text
from ..config.chain_tree import Members, divide
from ..network.address import Address
from ..observe.escape import one_line
from .chain_lookup import ConnectionFacts, Found, is_local, lookup

_MOST_TEXT: Final = 100  # characters of what a client said

# The key that a lookup follows, or () when it has none to follow.
Choice = Tuple[Key, ...]


class Named(Protocol):
    """A filter chain, prepared or as configured."""

    @property
    def name(self) -> str:
        """Free text, may be ""."""


T = TypeVar("T", bound=Named)


class RuledOut(NamedTuple):
    """One chain that was not chosen. position: in `filter_chains`. criterion: the field of filter_chain_match
    that ruled it out. wanted: that field's values. found: the connection's. shadowed_by: labels of the chains
    that fit more closely, `closer` the value by which; empty if the condition itself is not met.
    """

    position: int
    name: str
    criterion: str
    wanted: str
    found: str
    shadowed_by: Tuple[str, ...]
    closer: str

    @property
    def label(self) -> str:
        """"filter_chains[2] 'name'"."""
        return label_of(self.position, self.name)

    @property
    def reason(self) -> str:
        """One sentence without its stop."""
        if not self.shadowed_by:
            return f"{self.criterion}: wants {self.wanted}, found {self.found}"
        own = "not set" if self.wanted == ANY_TEXT else f"{self.wanted} fits too"
        rivals = ", ".join(self.shadowed_by[:3]) + (", ..." if len(self.shadowed_by) > 3 else "")
        return f"{self.criterion}: {own}, but {self.closer} of {rivals} is preferred"

    def to_json(self) -> Dict[str, Any]:
        """The fields, without what is empty."""
        tree: Dict[str, Any] = {
            "index": self.position, "name": self.name, "criterion": self.criterion, "wanted": self.wanted,
            "found": self.found, "reason": self.reason,
        }
        if self.shadowed_by:
            tree["shadowed_by"] = list(self.shadowed_by)
        return tree


class Explanation(Generic[T]):
    """chosen: the chain, None if there is none for this connection. index: its place in `filter_chains`, -1
    for the default chain and for none. ruled_out: the others, in the order of the configuration.
    """

    def __init__(self, connection: str, chosen: Optional[T], index: int, ruled_out: List[RuledOut]) -> None:
        self.connection = connection
        self.chosen = chosen
        self.index = index
        self.ruled_out = ruled_out

    @property
    def verdict(self) -> str:
        """"filter_chains[0] 'name'", "default_filter_chain 'name'", "no filter chain"."""
        if self.chosen is None:
            return "no filter chain"
        return label_of(self.index, self.chosen.name)

    def text(self, most: int = 10) -> str:
        """Several lines: the verdict, then a line for each of the first `most` other chains."""
        return "\n".join([f"{self.verdict} for {self.connection}", *self.reasons(most)])

    def reasons(self, most: Optional[int] = None) -> List[str]:
        """A line for each chain that was ruled out, or for the first `most`."""
        lines = [f"  not {one.label}: {one.reason}" for one in self.ruled_out[:most]]
        if len(self.ruled_out) > len(lines):
            lines.append(f"  and {len(self.ruled_out) - len(lines)} more")
        if self.index < 0 and any(one.shadowed_by for one in self.ruled_out):
            lines.append("  the most specific value is followed, and there is no way back from it")
        return lines

    def line(self, most: int = 5) -> str:
        """The same on one line, for a log."""
        return "; ".join(part.strip() for part in self.text(most).splitlines())


def label_of(index: int, name: str) -> str:
    """A chain as it is called in texts. index: -1 for the default chain."""
    place = "default_filter_chain" if index < 0 else f"filter_chains[{index}]"
    return f"{place} '{one_line(name)}'" if name else place


def explain(
    chains: Sequence[T], keys: Sequence[Keys], default: Optional[T], facts: ConnectionFacts
) -> Explanation[T]:
    """Walk the nine criteria. chains, keys: of the same length and order; default: the default chain."""
    members: Members = tuple(range(len(chains)))
    labels = [label_of(position, chain.name) for position, chain in enumerate(chains)]
    ruled_out: List[RuledOut] = []
    for criterion, field in enumerate(CRITERIA):
        groups = divide(keys, criterion, members)
        best = _choose(criterion, list(groups), facts)
        kept = groups[best[0]] if best else ()
        preferred = tuple(labels[rival] for rival in kept)
        for position in sorted(set(members).difference(kept)):
            own = keys[position][criterion]
            wanted = one_line(keys_text(criterion, own))
            found = found_text(criterion, facts)
            fits = bool(_choose(criterion, own, facts))
            rivals, closer = (preferred, one_line(keys_text(criterion, best))) if fits else ((), "")
            ruled_out.append(RuledOut(position, chains[position].name, field, wanted, found, rivals, closer))
        members = kept
    ruled_out.sort(key=lambda one: one.position)
    if members:
        return Explanation(connection_text(facts), chains[members[0]], members[0], ruled_out)
    return Explanation(connection_text(facts), default, -1, ruled_out)


def _choose(criterion: int, keys: Sequence[Key], facts: ConnectionFacts) -> Choice:
    children = {key: Found((key,)) for key in keys}
    nothing: Found[Choice] = Found(())
    return lookup(criterion, children, nothing).find(facts)


def found_text(criterion: int, facts: ConnectionFacts) -> str:
    """What is known of the connection for one criterion, in a form that is safe to print."""
    text = _FOUND[criterion](facts)
    return one_line(text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + "...")


def connection_text(facts: ConnectionFacts) -> str:
    """All that is known, on one line: "10.0.0.9:5000 -> 10.0.0.1:443, tls, server name 'a.test', offers
    h2".
    """
    parts = [f"{facts.remote_address.text or '(unnamed)'} -> {facts.local_address.text}"]
    if facts.direct_remote_address != facts.remote_address:
        parts.append(f"through {facts.direct_remote_address.text}")
    parts.append(found_text(criteria.TRANSPORT, facts))
    if facts.requested_server_name:
        parts.append(f"server name '{found_text(criteria.SERVER_NAME, facts)}'")
    if facts.application_protocols:
        parts.append(f"offers {found_text(criteria.APPLICATION, facts)}")
    return one_line(", ".join(parts))


def _ip(address: Address) -> str:
    return address.ip or f"a Unix socket, which counts as {criteria.UNIX_COUNTS_AS}"


def _port(address: Address) -> str:
    return str(address.port) if address.ip else "a Unix socket, which has none"


_FOUND: Final[Tuple[Callable[[ConnectionFacts], str], ...]] = (
    lambda facts: _port(facts.local_address),
    lambda facts: _ip(facts.local_address),
    lambda facts: facts.requested_server_name or "no server name",
    lambda facts: facts.transport_protocol or criteria.RAW_BUFFER,
    lambda facts: ", ".join(facts.application_protocols) or "no application protocol",
    lambda facts: _ip(facts.direct_remote_address),
    lambda facts: criteria.LOCAL if is_local(facts) else criteria.EXTERNAL,
    lambda facts: _ip(facts.remote_address),
    lambda facts: _port(facts.remote_address),
)
