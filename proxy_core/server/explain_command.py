"""The command `explain`: which filter chain a connection would get, and why not the others. Nothing is
run.
"""

from __future__ import annotations

import json
import sys
from typing import List, Sequence

from ..config.model.bootstrap import Bootstrap
from ..errors import ConfigError
from ..listener.explain import PARAMETERS, TRANSPORTS, Target, answer_question, read_question
from ..network.address import address_of
from ..observe.log import ProcessLog
from .arguments import FAILED, OK, Parser
from .command import load
from .extensions import Extensions
from .flags import configuration_flags, filter_directories, validate_options
from .report import problems_text

NO_CHAIN = 3
"""Exit code: the question was answered, and the answer is that no chain is for this connection."""

_ENDS = (
    ("--dst", "ADDRESS", "where it goes; not needed with one listener"),
    ("--src", "ADDRESS", "the client, default: this machine; the port may be left out"),
    ("--direct-src", "ADDRESS", "the peer, if a PROXY header tells of another client"),
    ("--sni", "NAME", "the server name it asks for"),
    ("--alpn", "X[,Y]", "the protocols it offers, in its order"),
    ("--listener", "NAME", "the listener, if --dst does not tell"),
)

TEXT = "text"
JSON = "json"


def explain_command(prog: str, arguments: Sequence[str]) -> int:
    """`explain -c FILE --dst IP:PORT ...`."""
    parser = _parser(prog)
    values = parser.parse(arguments)
    options = validate_options(values)
    log = ProcessLog(options.log_level, options.component_log_level, options.log_format)
    try:
        loaded = load(options, Extensions(filter_directories(options)))
    except ConfigError as error:
        sys.stderr.write(problems_text(options.config_path, error.problems))
        return FAILED
    finally:
        log.close()
    try:
        question = read_question({name: getattr(values, name) for name in PARAMETERS})
        answer = answer_question(targets_of(loaded.bootstrap), question)
    except ValueError as error:
        parser.error(str(error))
    as_json = values.format == JSON
    sys.stdout.write(json.dumps(answer.to_json(), indent=2) + "\n" if as_json else answer.text())
    return OK if answer.found else NO_CHAIN


def targets_of(bootstrap: Bootstrap) -> List[Target]:
    """The listeners of a configuration that was checked."""
    targets = []
    for config in bootstrap.static_resources.listeners if bootstrap.static_resources is not None else []:
        addresses = [config.address, *(extra.address for extra in config.additional_addresses)]
        bound = [address_of(address) for address in addresses if address is not None]
        targets.append(Target(config.name, config, bound))
    return targets


def _parser(prog: str) -> Parser:
    parser = Parser(
        f"{prog} explain",
        description="Tell which filter chain a connection would get, and for each other chain the first\n"
        "criterion of filter_chain_match that ruled it out. An address is IP:PORT, [IPV6]:PORT or\n"
        "unix:/path. Exit code 0: there is a chain, 3: there is none, 1: the configuration is bad, 2: the\n"
        "question is.",
        epilog=f"example: {prog} explain -c FILE --dst 10.0.0.1:443 --src 192.0.2.9 --sni a.example",
    )
    parser.add_argument("-c", "--config-path", required=True, metavar="FILE", help="the bootstrap, JSON")
    ends = parser.add_argument_group("the connection")
    for flag, metavar, text in _ENDS:
        ends.add_argument(flag, default="", metavar=metavar, help=text)
    ends.add_argument(
        "--transport", default="", choices=TRANSPORTS, help="default: tls if --sni or --alpn is given"
    )
    parser.add_argument("--format", choices=(TEXT, JSON), default=TEXT, help="json: one object, for programs")
    configuration_flags(parser.add_argument_group("reading"))
    return parser
