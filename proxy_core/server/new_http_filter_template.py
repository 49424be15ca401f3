"""What `new-filter --http` writes: an HTTP filter that works, and the test that shows it.

See `new_filter` for the names in braces.
"""

from __future__ import annotations

FILTER = '''\
"""{class_name}: takes only requests with the configured key in x-key, and marks the responses. Change it into what you need.

What a filter is told and may do is in the docstrings of {package}.http.filter_api.
"""

from typing import Any, Dict

from {package}.http.events import RequestHead, ResponseHead
from {package}.http.filter_api import CONTINUE, STOP_ITERATION, FilterStatus, HttpFilter


class {class_name}(HttpFilter):
    """There is one for each request. config: the other keys of its "typed_config"."""

    def __init__(self, config: Dict[str, Any]) -> None:
        self.key = str(config["key"])

    def decode_headers(self, head: RequestHead, end_stream: bool) -> FilterStatus:
        """On the way to the upstream. end_stream: there is no body."""
        if head.headers.get("x-key") != self.key:
            self.decoder.send_local_reply(403, b"no key\\n", "{module}_refused")
            return STOP_ITERATION
        head.headers.remove("x-key")  # the upstream need not know it
        return CONTINUE

    def encode_headers(self, head: ResponseHead, end_stream: bool) -> FilterStatus:
        """On the way back; the 403 above comes past here as well."""
        head.headers.set("x-checked-by", "{module}")
        return CONTINUE
'''

TEST = '''\
"""{class_name}, tested without a socket. Run it with: python3 -m pytest {test_file}"""

from {module} import {class_name}

from {package}.testing.http import HttpHarness, assert_body_split_invariant

KEY = ("x-key", "sesame")


def new_filter() -> {class_name}:
    return {class_name}({{"key": "sesame"}})


def test_a_request_with_the_key_goes_through_and_its_response_is_marked() -> None:
    with HttpHarness([new_filter]) as harness:
        response = harness.request("GET", "/notes", headers=[KEY])
        assert (response.status, response.headers.get("x-checked-by")) == (200, "{module}")
        assert harness.upstream.head is not None and "x-key" not in harness.upstream.head.headers


def test_a_request_without_it_is_refused_here() -> None:
    with HttpHarness([new_filter]) as harness:
        response = harness.request("GET", "/notes", headers=[("x-key", "guessed")])
        assert (response.status, response.body) == (403, b"no key\\n")
        assert not harness.reached_upstream and harness.details == "{module}_refused"


def test_bodies_are_left_alone_however_they_arrive() -> None:
    outcome = assert_body_split_invariant(lambda: [new_filter], b"some body", headers=[KEY])
    assert b"some body" in outcome.upstream
'''

NEXT = '''\
wrote {filter_path} and {test_path}

Test it:        cd {directory} && python3 -m pytest {test_file}
Configure it, in front of the router in the http_filters of an http_connection_manager:
    {{"name": "{module}", "typed_config": {{"@type": "python:{module}.{class_name}", "key": "sesame"}}}}
Run it:         {prog} -c config.json --filter-path {directory}
                (a filter beside config.json is found without --filter-path)
Then change {filter_file}
'''
