"""`local_reply_config`, prepared."""

from __future__ import annotations

from typing import Any, List, Optional

from ....config.model.core import SubstitutionFormatString
from ....errors import ConfigError, Problem
from ....filters.registry import FactoryContext
from ....http.connection_manager.local_reply import LocalReplies, Mapper
from ....http.routing.body_format import BodyFormat
from ....http.routing.formatting import Formats
from ....http.routing.header_mutation import prepare_headers
from ....observe.access_log.filters import compile_filter
from .parts import LocalReplyConfig, ResponseMapper


def prepare_local_replies(
    config: Optional[LocalReplyConfig], context: FactoryContext, formats: Formats, problems: List[Problem]
) -> LocalReplies:
    """What is wrong is added to `problems`."""
    def now() -> float:
        moment: float = context.reactor.now
        return moment

    if config is None:
        return LocalReplies((), None, now)
    path = f"{context.path}.local_reply_config"
    mappers: List[Mapper] = []
    for index, mapper in enumerate(config.mappers):
        try:
            mappers.append(_mapper(mapper, context, formats, f"{path}.mappers[{index}]", problems))
        except ConfigError as error:
            problems.extend(error.problems)
        except ValueError as error:
            problems.append(Problem(f"{path}.mappers[{index}].filter", str(error)))
    return LocalReplies(mappers, _format(config.body_format, formats, f"{path}.body_format", problems), now)


def _mapper(
    config: ResponseMapper, context: FactoryContext, formats: Formats, path: str, problems: List[Problem]
) -> Mapper:
    sources: Any = context.access_logs.sources
    body = config.body.read(f"{path}.body") if config.body is not None else None
    change = prepare_headers(config.headers_to_add, (), formats, path, "response", problems)
    override = _format(config.body_format_override, formats, f"{path}.body_format_override", problems)
    return Mapper(compile_filter(config.filter, sources), config.status_code or 0, body, change, override)


def _format(
    config: Optional[SubstitutionFormatString], formats: Formats, path: str, problems: List[Problem]
) -> Optional[BodyFormat]:
    if config is None:
        return None
    try:
        return BodyFormat(config, formats, path)
    except ConfigError as error:
        problems.extend(error.problems)
        return None
