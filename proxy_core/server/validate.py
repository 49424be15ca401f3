"""The commands that look at a configuration and run nothing: `validate FILE`, `--mode validate`, `schema`."""

from __future__ import annotations

import json
import sys
from typing import Sequence

from ..config.model.bootstrap import Bootstrap
from ..config.schema import schema
from ..observe.log import ProcessLog
from .arguments import FAILED, OK, Parser
from .command import check
from .extensions import Extensions
from .flags import configuration_flags, validate_options
from .options import Options
from .report import as_json, problems_text, warnings_text

TEXT = "text"
JSON = "json"


def validate(options: Options, form: str = TEXT) -> int:
    """Check the configuration that the options name: verdict on standard output, problems on standard error.

    form: "json" puts everything into one object on standard output. The exit code is 0 or 1.
    """
    log = ProcessLog(options.log_level, options.component_log_level, options.log_format)
    try:
        found = check(options)
    finally:
        log.close()
    if form == JSON:
        sys.stdout.write(as_json(options.config_path, found.problems, found.warnings))
        return FAILED if found.problems else OK
    sys.stderr.write(warnings_text(found.warnings))
    if found.problems:
        sys.stderr.write(problems_text(options.config_path, found.problems))
        return FAILED
    print(f"configuration '{options.config_path}' OK")
    return OK


def validate_command(prog: str, arguments: Sequence[str]) -> int:
    """`validate FILE`: --mode validate in fewer words, and for programs."""
    parser = Parser(
        f"{prog} validate",
        description="Check a configuration: nothing is bound, written or connected to. Exit code 0 or 1.",
    )
    parser.add_argument("config_path", metavar="FILE", help="the bootstrap, JSON; /dev/stdin works")
    parser.add_argument(
        "--format", choices=(TEXT, JSON), default=TEXT,
        help="json: {ok, problems, warnings} on standard output",
    )
    configuration_flags(parser.add_argument_group("reading"))
    values = parser.parse(arguments)
    return validate(validate_options(values), values.format)


def schema_command(prog: str, arguments: Sequence[str]) -> int:
    """`schema`: the JSON Schema of a bootstrap with all that this build supports."""
    Parser(
        f"{prog} schema",
        description="Print the JSON Schema (draft 2020-12) of the configuration, every filter included.\n"
        'Name it in a file with "$schema": "<path>" and editors complete and check as you type.',
    ).parse(arguments)
    print(json.dumps(schema(Bootstrap, Extensions().types()), indent=2))
    return OK
