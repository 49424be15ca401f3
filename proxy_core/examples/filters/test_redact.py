import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from redact import Redact

from proxy_core.testing import Proxy
from proxy_core.testing.http import HttpHarness, assert_body_split_invariant


def make() -> Redact:
    return Redact({"word": "secret"})


def test_the_word_is_found_wherever_the_body_is_cut() -> None:
    for trailers in ((), (("x-sum", "1"),)):
        outcome = assert_body_split_invariant(lambda: [make], b"a secret, sec secretsecret se", trailers=trailers)
        assert outcome.upstream[3] == b"a ******, sec ************ se"


def test_only_what_may_be_the_word_waits() -> None:
    with HttpHarness([make]) as harness:
        harness.open("POST", length=None)
        harness.data(b"my sec")
        assert harness.upstream.body == b"my "
        harness.data(b"tion")
        assert harness.upstream.body == b"my section"
        harness.end()


class Notes(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_the_example_hides_the_word_from_the_upstream() -> None:
    file = Path(__file__).with_name("redact.json")
    config = json.loads(file.read_text())
    with HTTPServer(("127.0.0.1", 0), Notes) as notes:
        threading.Thread(target=notes.serve_forever, daemon=True).start()
        endpoint = config["static_resources"]["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"][0]
        endpoint["endpoint"]["address"]["socket_address"]["port_value"] = notes.server_port
        with Proxy(config, free_ports=True, filter_path=[str(file.parent)], check_leaks=False) as proxy:
            client = proxy.connect()
            client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\nconnection: close\r\n\r\nmy secret ok")
            answer = b""
            while not answer.endswith(b"my ****** ok"):
                piece = client.recv(1000)
                assert piece, answer
                answer += piece
        notes.shutdown()
