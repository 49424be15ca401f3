"""What a request needs, prepared: functions of one `Attempt`. Mirrors `verifier.cc`.

Nothing is changed while requirements are looked at. So when the keys must be fetched first, all of it is simply done again with
them. What good tokens lead to is written down in the attempt and done in the end.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, FrozenSet, List, Mapping, NamedTuple, Optional, Sequence, Set

from ....http.events import RequestHead
from .config import JwtRequirement
from .extract import Found, Location, extract
from .keys import Keys
from .provider import KeysNeeded, Provider, audience_set
from .status import MISSING, OK, UNKNOWN_ISSUER, Status
from .token import BadToken, Token, parse

# The less telling ones of several failures.
_RANKS: Final = {MISSING: 0, UNKNOWN_ISSUER: 1}
_HIGHEST_RANK: Final = 2


class Success(NamedTuple):
    """A token that is good."""

    provider: Provider
    token: Token
    found: Found


class Attempt:
    """One look at one request. successes: the good tokens. failures: what goes to the metadata. hits, misses: of the caches."""

    __slots__ = ("head", "now", "unavailable", "gone", "successes", "failures", "hits", "misses")

    def __init__(self, head: RequestHead, now: float, unavailable: Mapping[Keys, Status]) -> None:
        """now: seconds since the epoch. unavailable: keys that could not be fetched for this request."""
        self.head = head
        self.now = now
        self.unavailable = unavailable
        self.gone: Set[Location] = set()
        self.successes: List[Success] = []
        self.failures: Dict[str, Any] = {}
        self.hits = 0
        self.misses = 0

    def check(self, provider: Provider, token: Token, found: Found, audiences: Optional[FrozenSet[str]]) -> Status:
        """Whether this is a good token of this provider. Raises `KeysNeeded`."""
        if not provider.issues(token):
            return UNKNOWN_ISSUER
        try:
            status = provider.check(token, found.text, self.now, audiences)
        except KeysNeeded:
            if provider.keys not in self.unavailable:
                raise
            return self.unavailable[provider.keys]
        if status is OK:
            self.successes.append(Success(provider, token, found))
            if not provider.config.forward:
                self.gone.add(found.location)
        return status

    def fail(self, provider: Provider, status: Status) -> Status:
        """Write a failure down."""
        if provider.config.failed_status_in_metadata:
            self.failures[provider.config.failed_status_in_metadata] = {"code": status.number, "message": status.text}
        return status


Requirement = Callable[[Attempt], Status]


def prepare(config: JwtRequirement, providers: Mapping[str, Provider]) -> Optional[Requirement]:
    """None for an empty requirement. Raises ValueError for a provider that is not there."""
    if config.requires_any is not None:
        return _any(config.requires_any.requirements, providers)
    if config.requires_all is not None:
        return _all(config.requires_all.requirements, providers)
    if config.allow_missing is not None or config.allow_missing_or_failed is not None:
        return _whatever(tuple(providers.values()), config.allow_missing is None)
    if config.provider_and_audiences is not None:
        one = _provider(config.provider_and_audiences.provider_name, providers)
        return _of_provider(one, audience_set(config.provider_and_audiences.audiences))
    if config.provider_name is not None:
        return _of_provider(_provider(config.provider_name, providers), None)
    return None


def _provider(name: str, providers: Mapping[str, Provider]) -> Provider:
    if name not in providers:
        raise ValueError(f"Required provider ['{name}'] is not configured.")
    return providers[name]


def _of_provider(provider: Provider, audiences: Optional[FrozenSet[str]]) -> Requirement:
    """If there are several tokens all must be good: the upstream might look at the one that is not."""
    def check(attempt: Attempt) -> Status:
        tokens = extract(attempt.head, provider.locations, attempt.gone)
        if not tokens:
            return attempt.fail(provider, MISSING)
        for found in tokens:
            if provider.remembers(found.text):
                attempt.hits += 1
            else:
                attempt.misses += 1
            try:
                status = attempt.check(provider, parse(found.text), found, audiences)
            except BadToken as bad:
                status = bad.status
            if status is not OK:
                return attempt.fail(provider, status)
        return OK
    return check


def _whatever(providers: Sequence[Provider], failed_is_good: bool) -> Requirement:
    """`allow_missing` and `allow_missing_or_failed`: any provider's tokens, if there are some."""
    locations = tuple(dict.fromkeys(where for provider in providers for where in provider.locations))

    def check(attempt: Attempt) -> Status:
        outcome = OK
        for found in extract(attempt.head, locations, attempt.gone):
            status = _by_issuer(attempt, found, providers)
            if status is not OK and not failed_is_good:
                outcome = status
        return outcome
    return check


def _by_issuer(attempt: Attempt, found: Found, providers: Sequence[Provider]) -> Status:
    try:
        token = parse(found.text)
    except BadToken as bad:
        return bad.status
    for provider in providers:
        if provider.issues(token) and found.location in provider.locations:
            return attempt.check(provider, token, found, None)
    return UNKNOWN_ISSUER


def _all(configs: Sequence[JwtRequirement], providers: Mapping[str, Provider]) -> Requirement:
    children = [child for child in (prepare(one, providers) for one in configs) if child is not None]

    def check(attempt: Attempt) -> Status:
        for child in children:
            status = child(attempt)
            if status is not OK:
                return status
        return OK
    return check


def _any(configs: Sequence[JwtRequirement], providers: Mapping[str, Provider]) -> Requirement:
    """An `allow_missing...` among them is about the tokens of the others."""
    missing_is_good = any(one.allow_missing is not None for one in configs)
    failed_is_good = any(one.allow_missing_or_failed is not None for one in configs)
    prepared = (
        prepare(one, providers) for one in configs if one.allow_missing is None and one.allow_missing_or_failed is None
    )
    children = [child for child in prepared if child is not None]

    def check(attempt: Attempt) -> Status:
        worst = MISSING
        for child in children:
            status = child(attempt)
            if status is OK:
                return OK
            if _RANKS.get(status, _HIGHEST_RANK) >= _RANKS.get(worst, _HIGHEST_RANK):
                worst = status
        return OK if failed_is_good or (missing_is_good and worst is MISSING) else worst
    return check

