"""Connections as text: a line in the list, and the page with everything about one. From the JSON facts, so that both say the
same.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ..observe.escape import one_line
from ..observe.reasons import ago_text, listed, size_text
from .stream_page import request_line, request_lines


def line(facts: Dict[str, Any]) -> str:
    """A row of a live connection on one line; what does not apply is left out."""
    parts = [
        _head(facts),
        f"read={facts['read_state']} write={facts['write_state']} age={facts['age_s']:.1f}s "
        f"last_read={facts['last_read_s']:.1f}s last_write={facts['last_write_s']:.1f}s",
        f"in={facts['bytes_in']} out={facts['bytes_out']}",
        "buffered={read_buffer[bytes]}/{write_buffer[bytes]} of {read_buffer[limit]}".format_map(facts),
    ]
    if facts["peer_id"] is not None:
        parts.append(f"peer=C{facts['peer_id']}")
    if facts["filters"]:
        parts.append("filters=" + ",".join(facts["filters"]))
    if facts["reading_paused_by"]:
        parts.append("paused by " + ", ".join(facts["reading_paused_by"]))
    if facts["parked_by"]:
        stalled = "STALLED: " if facts["stalled"] else ""
        parts.append(f"{stalled}parked by {facts['parked_by']} for {facts['parked_s']:.1f}s")
    parts += [f"request {request_line(one)} {one['age_s']:.1f}s: {one['state']}" for one in facts["streams"]]
    if facts["closing"]:
        parts.append(f"closing: {facts['closing']}")
    return one_line(" ".join(parts))


def closed_line(facts: Dict[str, Any]) -> str:
    """A row of one that is over."""
    parts = [
        _head(facts),
        f"closed {ago_text(facts['closed_s'])} ago after {ago_text(facts['duration_s'])}",
        f"in={facts['bytes_in']} out={facts['bytes_out']}",
    ]
    if facts["unsent_bytes"]:
        parts.append(f"unsent={facts['unsent_bytes']}")
    if facts["response_flags"]:
        parts.append("flags=" + ",".join(facts["response_flags"]))
    return one_line(f"{' '.join(parts)}: {facts['reason']}")


def _head(facts: Dict[str, Any]) -> str:
    here = facts["listener"] if facts["side"] == "downstream" else facts["cluster"]
    tag = f"[C{facts['id']}]" if facts["id"] is not None else "[-]"
    return f"{tag} {facts['side']} {here or '-'} {facts['local_address'] or '-'} <-> {facts['remote_address'] or '-'}"


# -- the page ------------------------------------------------------------------------------------------------

def page(facts: Dict[str, Any]) -> str:
    """The full answer about a live connection."""
    sections = [
        _title(facts), [facts["summary"]], request_lines(facts), _directions(facts), _pipeline(facts), _waits(facts),
        _origin(facts), _tls(facts), _peer(facts),
    ]
    return "\n\n".join("\n".join(map(one_line, lines)) for lines in sections if lines) + "\n"


def closed_page(facts: Dict[str, Any]) -> str:
    """The same about one that is over."""
    lines = [
        f"It ended {ago_text(facts['closed_s'])} ago, after {ago_text(facts['duration_s'])}: {facts['reason']}.",
        "",
        f"received   {_count(facts['bytes_in'])}",
        f"sent       {_count(facts['bytes_out'])}" + _dropped(facts["unsent_bytes"]),
    ]
    if facts["response_flags"]:
        lines.append("flags      " + ", ".join(facts["response_flags"]))
    if facts["paused_by"]:
        lines.append(f"at the end reading was paused by: {listed(facts['paused_by'])}")
    if facts["parked_by"]:
        lines.append(f"at the end the chain was stopped by filter '{facts['parked_by']}'")
    return "\n".join(map(one_line, [*_title(facts), "", *lines])) + "\n"


def _dropped(unsent: int) -> str:
    return f"; {_count(unsent)} more were dropped" if unsent else ""


def _count(number: int) -> str:
    return f"{number} bytes" if number < 1024 else f"{number} bytes ({size_text(number)})"


def _title(facts: Dict[str, Any]) -> List[str]:
    tag = f"C{facts['id']}" if facts["id"] is not None else "A socket that did not become a connection"
    age = f", {ago_text(facts['age_s'])} old" if "age_s" in facts else ""
    lines = [f"{tag}: {facts['side']}, {', '.join(facts['states']).replace('_', ' ')}{age}"]
    lines.append(f"  {facts['remote_address'] or '-'} <-> {facts['local_address'] or '-'} (peer <-> us)")
    lines.append(f"  {_way(facts)}")
    return lines


def _way(facts: Dict[str, Any]) -> str:
    """Where the pair comes from and goes: "listener in, chain 'a' -> cluster db, host 10.0.0.1:5432 (C18)"."""
    chain = f", filter chain '{facts['filter_chain']}'" if facts["filter_chain"] else ""
    parts = [f"listener {facts['listener'] or '-'}{chain}"] if facts["listener"] else []
    if facts["cluster"]:
        parts.append(f"cluster {facts['cluster']}, host {facts['host'] or '-'}")
    way = " -> ".join(parts) or "of no listener"
    return f"{way}; the other half is C{facts['peer_id']}" if facts["peer_id"] is not None else way


def _directions(facts: Dict[str, Any]) -> List[str]:
    receiving, sending = facts["receiving"], facts["sending"]
    lines = ["receiving  " + _direction(receiving, "unread")]
    if receiving["paused_by"]:
        lines.append(f"           paused for {ago_text(receiving['paused_s'])} by: {listed(receiving['paused_by'])}")
    lines.append("sending    " + _direction(sending, "unacknowledged"))
    if sending["above_high"]:
        lines.append(f"           above the high watermark for {ago_text(sending['above_high_s'])}")
    return lines


def _direction(one: Dict[str, Any], kernel_word: str) -> str:
    limit = f" of {size_text(one['limit'])}" if one["limit"] else ", no limit"
    moved = f"{_count(one['bytes'])}, the last {ago_text(one['last_s'])} ago" if one["bytes"] else "nothing yet"
    text = f"{one['state']}; {moved}; buffered {size_text(one['buffered'])}{limit}"
    if one["kernel_bytes"] is None:
        return text
    return f"{text}; {size_text(one['kernel_bytes'])} {kernel_word} in the kernel"


def _pipeline(facts: Dict[str, Any]) -> List[str]:
    lines = ["filters"]
    for stage in facts["pipeline"]:
        arrow = "->" if stage["direction"] == "read" else "<-"
        said = ", ".join([stage["state"], *(f"{name} {value}" for name, value in stage["facts"].items())]).strip(", ")
        parked = "   PARKED the chain" if stage["parked"] else ""
        lines.append(f"  {arrow} {stage['name']}{': ' + said if said else ''}{parked}")
    return lines if len(lines) > 1 else []


def _waits(facts: Dict[str, Any]) -> List[str]:
    lines: List[str] = []
    parked = facts["parked"]
    if parked is not None:
        lines.append(f"parked by '{parked['by']}' for {ago_text(parked['seconds'])}")
        wakes = parked["wakes_by"] or ["nothing: no hold, no timer, and no more bytes can come"]
        lines += [f"  would be woken by {one}" for one in wakes]
    lines.append("timers" if facts["timers"] else "timers     none")
    lines += [f"  in {ago_text(one['left_s']):>8}  {_timer(one)}" for one in facts["timers"]]
    return lines


def _timer(one: Dict[str, Any]) -> str:
    return str(one["source"]) if one["source"].startswith(one["name"]) else f"{one['name']} ({one['source']})"


def _origin(facts: Dict[str, Any]) -> List[str]:
    chain, upstream = facts["chain"], facts["upstream"]
    lines: List[str] = []
    if chain is not None:
        lines.append("why this filter chain")
        lines += [f"  {one}" for one in chain["why"]]
    if upstream is not None:
        if upstream["why_cluster"]:  # a connection of a pool has none
            lines.append(f"why cluster {upstream['cluster']}: {upstream['why_cluster']}")
        if upstream["why_host"]:
            lines.append(f"why host {upstream['host']}: {upstream['why_host']}")
        lines.append(_attempts(upstream))
    return lines


def _attempts(upstream: Dict[str, Any]) -> str:
    if not upstream["attempts"]:
        return f"{upstream['state']}, by a pool"
    text = f"{upstream['state']}, {upstream['attempts']} attempt{'s' if upstream['attempts'] != 1 else ''}"
    if upstream["connect_ms"] is not None:
        text += f", {upstream['connect_ms']} ms to the last answer"
    return f"{text}: {upstream['failure']}" if upstream["failure"] else text


def _tls(facts: Dict[str, Any]) -> List[str]:
    tls: Optional[Dict[str, Any]] = facts["tls"]
    if tls is None:
        return []
    return ["TLS", *(f"  {name}: {_value(value)}" for name, value in tls.items())]


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _peer(facts: Dict[str, Any]) -> List[str]:
    return ["the other half", "  " + line(facts["peer"])] if facts["peer"] is not None else []
