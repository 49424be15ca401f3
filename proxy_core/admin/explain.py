"""/explain: which filter chain a connection would get, and what ruled out each other one. Ours; Envoy has no
such thing.

The same question and answer as `python -m proxy_core explain`, about the listeners that run.
"""

from __future__ import annotations

from ..listener.explain import PARAMETERS, Target, answer_question, read_question
from ..observe.escape import one_line
from .api import Request, Response, choice_of, json_reply, text
from .host import AdminHost


def explain(host: AdminHost, request: Request) -> Response:
    """GET /explain?dst=...&src=...&sni=...: text, or JSON with `format=json`; 400 with a sentence for a bad
    question.
    """
    unknown = [name for name in request.query if name not in (*PARAMETERS, "format")]
    if unknown:
        known = ", ".join((*PARAMETERS, "format"))
        return text(f"unknown parameter '{one_line(unknown[0])}'; there are: {known}\n", 400)
    targets = [
        Target(listener.name, listener.config, listener.local_addresses())
        for listener in host.listeners.listeners
    ]
    try:
        answer = answer_question(targets, read_question(request.query))
    except ValueError as error:
        return text(f"{error}\n", 400)
    if choice_of(request.query, "format", "json") is not None:
        return json_reply(answer.to_json())
    return text(answer.text())
