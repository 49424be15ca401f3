"""The HTTP requests of a connection as text: the part of a connection's page that is about them. From the JSON facts."""

from __future__ import annotations

from typing import Any, Dict, List

from ..observe.reasons import ago_text, size_text


def request_line(one: Dict[str, Any]) -> str:
    """Of one stream: "GET /index.html"."""
    return f"{one['method']} {one['path']}" if one["method"] else "(no head yet)"


def request_lines(facts: Dict[str, Any]) -> List[str]:
    """The section of all streams of a connection; none if there are none."""
    lines = ["requests"] if facts["streams"] else []
    for one in facts["streams"]:
        to = f" to {one['authority']}" if one["authority"] else ""
        lines.append(f"  {request_line(one)}{to}, {ago_text(one['age_s'])} old: {one['state']}")
        lines.append(f"    {_moved(one)}")
        lines += [f"    {text}" for text in (_way(one, facts), _why(one), _served(one, facts)) if text]
        lines += [f"    {_stage(stage)}" for stage in one.get("pipeline", ())]
    return lines


def _moved(one: Dict[str, Any]) -> str:
    status = f"{one['response_code']}, " if one["response_code"] is not None else ""
    text = f"body received {size_text(one['bytes_in'])}, response {status}body sent {size_text(one['bytes_out'])}"
    return f"{text}; flags {','.join(one['flags'])}" if one["flags"] else text


def _way(one: Dict[str, Any], facts: Dict[str, Any]) -> str:
    """Where it goes, seen from the client."""
    if facts["side"] == "upstream" or not one["virtual_host"]:
        return ""
    route = f"route '{one['route']}'" if one["route"] else "a route without a name"
    text = f"{route} of virtual host '{one['virtual_host']}'"
    if one["cluster"]:
        text += f" -> cluster {one['cluster']}, host {one['host'] or '-'}"
    if one["upstream_id"] is not None:
        text += f" over C{one['upstream_id']}"
    return f"{text}, attempt {one['attempts']}" if one["attempts"] > 1 else text


def _why(one: Dict[str, Any]) -> str:
    return f"why host {one['host']}: {one['why_host']}" if one.get("why_host") else ""


def _served(one: Dict[str, Any], facts: Dict[str, Any]) -> str:
    """Whose it is, seen from the upstream."""
    return f"for C{one['connection_id']}" if facts["side"] == "upstream" else ""


def _stage(stage: Dict[str, Any]) -> str:
    said = ", ".join([stage["state"], *(f"{name} {value}" for name, value in stage["facts"].items())]).strip(", ")
    parked = f"   PARKED the {stage['parked']}" if stage["parked"] else ""
    return f"-> {stage['name']}{': ' + said if said else ''}{parked}"
