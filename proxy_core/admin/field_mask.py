"""Field masks: `mask=cluster.name,cluster.load_assignment` keeps these fields of a message and drops the
rest.

Mirrors protobuf's `FieldMaskUtil`: a path may end at any field, and pass only through single messages, not
through lists and maps. What a message has is asked of its descriptor, so a misspelt path is an error and not
an empty answer.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Type

from ..config.descriptor import MAP, REPEATED, Message

Path = Sequence[str]
# Field -> the class of the message in it; None for a field that nothing can be picked from.
Shape = Mapping[str, Optional[Type[Message]]]


def parse_mask(mask: str) -> List[Path]:
    """The paths of a mask; [] for an empty one."""
    return [path.split(".") for path in mask.split(",") if path]


def fits(paths: Sequence[Path], shape: Shape) -> bool:
    """Whether every path exists in a message of this shape."""
    return all(_exists(path, shape) for path in paths)


def _exists(path: Path, shape: Shape) -> bool:
    if path[0] not in shape:
        return False
    inner = shape[path[0]]
    return len(path) == 1 or inner is not None and _exists_in(path[1:], inner)


def _exists_in(path: Path, message: Type[Message]) -> bool:
    descriptor = message.DESCRIPTOR
    if path[0] not in descriptor.known_names():
        return False
    spec = descriptor.fields.get(path[0])
    if len(path) == 1 or spec is None:  # a field that is not supported is never set: nothing would be kept
        return True
    inner = spec.kind.child()
    return spec.label not in (REPEATED, MAP) and inner is not None and _exists_in(path[1:], inner)


def trim(tree: Dict[str, Any], paths: Sequence[Path]) -> Dict[str, Any]:
    """What the paths keep of a message's JSON. An Any keeps its `@type`."""
    kept = {name: value for name, value in tree.items() if name == "@type"}
    for name, value in tree.items():
        rests = [path[1:] for path in paths if path[0] == name]
        if not rests:
            continue
        if not all(rests) or not isinstance(value, dict):  # one path ends here: the whole field
            kept[name] = value
        else:
            kept[name] = trim(value, rests)
    return kept
