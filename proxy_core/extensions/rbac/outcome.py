"""What a verdict leaves behind: dynamic metadata for later filters and logs, and words for the log."""

from __future__ import annotations

import re
from typing import Dict, Final

from .rules import Verdict

LOG_NAMESPACE: Final = "envoy.common"
LOG_HINT: Final = "access_log_hint"
_WHITESPACE: Final = re.compile(r"[ \t\n\v\f\r]")


class VerdictLabels:
    """The metadata keys of one kind of rules. kind: "shadow" or "enforced"; prefix: put in front of both keys."""

    __slots__ = ("_policy", "_result")

    def __init__(self, kind: str, prefix: str) -> None:
        self._policy = f"{prefix}{kind}_effective_policy_id"
        self._result = f"{prefix}{kind}_engine_result"

    def metadata(self, verdict: Verdict) -> Dict[str, str]:
        """What is to be merged into the filter's namespace."""
        result = {self._result: "allowed" if verdict.allowed else "denied"}
        return {self._policy: verdict.policy, **result} if verdict.policy else result


def log_hint(verdict: Verdict) -> Dict[str, bool]:
    """Of the action LOG, for `LOG_NAMESPACE`: whether a policy matched."""
    return {LOG_HINT: bool(verdict.policy)}


def denied_details(policy: str) -> str:
    """Termination details of a denied connection, response code details of a denied request: one word, whatever the policy is
    called."""
    return f"rbac_access_denied_matched_policy[{_WHITESPACE.sub('_', policy) or 'none'}]"


def without_dot(prefix: str) -> str:
    """A stat prefix may be written with or without its last dot."""
    return prefix[:-1] if prefix.endswith(".") else prefix
