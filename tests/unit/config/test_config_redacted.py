"""What /config_dump shows of private keys and passwords: nothing."""

from __future__ import annotations

from proxy_core.config.dump import redacted


def test_keys_and_passwords_are_hidden_wherever_they_stand_and_nothing_else_is() -> None:
    certificate = {
        "certificate_chain": {"filename": "a.crt"}, "private_key": {"filename": "a.key"}, "password": {"inline_string": "p"},
    }
    whole = {"listeners": [{"chains": [{"tls_certificates": [certificate]}]}], "count": 5, "password": "plain"}
    assert redacted(whole) == {
        "listeners": [{"chains": [{"tls_certificates": [{
            "certificate_chain": {"filename": "a.crt"}, "private_key": {"filename": "[redacted]"},
            "password": {"inline_string": "[redacted]"},
        }]}]}],
        "count": 5, "password": "[redacted]",
    }
    assert certificate["private_key"] == {"filename": "a.key"}


def test_bytes_stay_base64_as_in_envoy() -> None:
    assert redacted({"private_key": {"inline_bytes": "AAAA"}}) == {"private_key": {"inline_bytes": "W3JlZGFjdGVkXQ=="}}
