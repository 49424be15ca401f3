"""From a file and the command line to a checked bootstrap: the one function that the server, `validate` and
tests call.

Mirrors Envoy's `InstanceUtil::loadBootstrapConfig` with the sentences it prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional

from ..errors import ConfigError, Problem
from .check import IsTerminal, check
from .context import Context, TypeResolver
from .decode import decode_into
from .json_text import MAX_BYTES, parse_object
from .merge import merge
from .model.bootstrap import Bootstrap

_NOTHING_GIVEN = (
    "At least one of --config-path or --config-yaml or Options::configProto() should be non-empty"
)
_SCHEMA_KEY = "$schema"  # for editors; not part of the configuration


@dataclass
class Loaded:
    """A configuration that can be used. `raw` = the merged JSON; `warnings` = what works, but look at it."""

    bootstrap: Bootstrap
    raw: Dict[str, Any]
    warnings: List[Problem]


def load_bootstrap(
    path: str,
    inline_json: str,
    registry: TypeResolver,
    allow_unknown: bool = False,
    is_terminal: Optional[IsTerminal] = None,
) -> Loaded:
    """Read, merge, decode and check a bootstrap.

    path: the file (--config-path), "" = none. inline_json: text merged over it (--config-yaml), "" = none.
    registry: what `@type` may name. allow_unknown: unknown fields become warnings
    (--allow-unknown-static-fields).
    is_terminal: whether the network filter of a type URL ends a chain; None = the order of filters is not
    checked. Raises `ConfigError` with every problem of the first stage that failed: reading, or decoding and
    checking.
    """
    if not path and not inline_json:
        raise ConfigError([Problem("", _NOTHING_GIVEN)])
    raw: Dict[str, Any] = {}
    if path:
        raw = parse_object(read_file(path), path)
    if inline_json:
        over = parse_object(inline_json, "--config-yaml")
        over.pop(_SCHEMA_KEY, None)
        raw = merge(Bootstrap, raw, over)
    raw.pop(_SCHEMA_KEY, None)
    return decode_bootstrap(raw, registry, allow_unknown, is_terminal)


def decode_bootstrap(
    raw: Dict[str, Any],
    registry: TypeResolver,
    allow_unknown: bool = False,
    is_terminal: Optional[IsTerminal] = None,
) -> Loaded:
    """As `load_bootstrap`, from JSON that is already parsed and merged."""
    context = Context(registry, allow_unknown)
    bootstrap = decode_into(Bootstrap, raw, "", context)
    checked = check(bootstrap, is_terminal)
    # What rests on a value that could not be read is an echo, not a second mistake.
    unread = [*(problem.path for problem in context.problems), *context.misspelt]
    later = [one for one in checked.problems if not any(_touches(one.path, path) for path in unread)]
    if context.problems or later:
        raise ConfigError([*context.problems, *later])
    return Loaded(bootstrap, raw, [*context.warnings, *checked.warnings])


def read_file(path: str) -> bytes:
    """The bytes of a configuration file. Raises `ConfigError`."""
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError([Problem("", f"Invalid path: {path}")]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem("", f"unable to read file: {path} ({reason})")]) from None


def _touches(path: str, unread: str) -> bool:
    """Whether one of the two paths lies inside the other."""
    longer, shorter = (path, unread) if len(path) >= len(unread) else (unread, path)
    return longer.startswith(shorter) and longer[len(shorter):len(shorter) + 1] in ("", ".", "[")
