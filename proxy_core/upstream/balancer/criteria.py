"""What metadata a host must have: values that can be compared and looked up. Mirrors `MetadataMatchCriteriaImpl`,
`HashedValue`."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Tuple

from . import Criteria

NAMESPACE = "envoy.lb"

LIST = "list"
STRUCT = "struct"


def frozen(value: Any) -> Any:
    """A JSON value as one that can be a key: 1 is 1.0 but not true, objects are equal whatever the order of their keys."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, Mapping):
        return (STRUCT, criteria_of(value))
    if isinstance(value, (list, tuple)):
        return (LIST, tuple(frozen(item) for item in value))
    return value


def criteria_of(values: Mapping[str, Any]) -> Criteria:
    """The criteria of one object."""
    return tuple((key, frozen(values[key])) for key in sorted(values))


def of_metadata(filter_metadata: Optional[Mapping[str, Mapping[str, Any]]]) -> Optional[Criteria]:
    """The criteria in metadata; None when it has nothing below "envoy.lb"."""
    values = (filter_metadata or {}).get(NAMESPACE)
    return None if values is None else criteria_of(values)


def merged(base: Optional[Criteria], over: Optional[Criteria]) -> Optional[Criteria]:
    """Both; a key that both have counts as in `over`."""
    if base is None or over is None:
        return base if over is None else over
    return tuple(sorted({**dict(base), **dict(over)}.items(), key=_first))


def only(criteria: Criteria, keys: Tuple[str, ...]) -> Criteria:
    """Those with these keys."""
    return tuple(item for item in criteria if item[0] in keys)


def combinations(values: Mapping[str, Any], keys: Tuple[str, ...], list_as_any: bool) -> List[Criteria]:
    """The subsets for `keys` that a host with these values is in: none if it lacks a key, several if a value is a list of which
    any item counts."""
    found: List[Criteria] = [()] if keys else []
    for key in keys:
        if key not in values:
            return []
        value = values[key]
        choices = value if list_as_any and isinstance(value, list) else [value]
        found = [(*criteria, (key, frozen(choice))) for criteria in found for choice in choices]
    return found


def matches(values: Mapping[str, Any], wanted: Criteria, list_as_any: bool) -> bool:
    """Whether a host with these values has all that is wanted."""
    for key, value in wanted:
        if key not in values:
            return False
        own = values[key]
        if frozen(own) == value:
            continue
        if not (list_as_any and isinstance(own, list) and any(frozen(item) == value for item in own)):
            return False
    return True


def _first(item: Tuple[str, Any]) -> str:
    return item[0]
