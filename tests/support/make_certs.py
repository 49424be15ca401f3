"""Makes the certificates in `certs/` with the openssl command. They are kept in the repository, so that no test needs it.

    python3 tests/support/make_certs.py

All but `expired` and `expired_server` are valid from 2020 to 2119. The keys protect nothing.
"""

from __future__ import annotations

import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).with_name("certs")
FOREVER = ("20200101000000Z", "21191231235959Z")
CONFIG = """[ca]
default_ca=d
[d]
database=index.txt
new_certs_dir=.
default_md=sha256
policy=p
rand_serial=yes
[p]
countryName=optional
organizationName=optional
organizationalUnitName=optional
commonName=supplied
[server]
subjectAltName=DNS:server.test,DNS:*.wild.test,DNS:localhost,IP:127.0.0.1,IP:::1,URI:spiffe://test/server,email:a@server.test
[alpha]
subjectAltName=DNS:alpha.test
[client]
subjectAltName=DNS:client.test,URI:spiffe://test/client,IP:10.0.0.1,email:me@client.test,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:upn@test,RID:1.2.3.4,dirName:direct
extendedKeyUsage=clientAuth
[direct]
CN=direct
[plain]
[itself]
subjectAltName=DNS:server.test
[authority]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
"""
LEAVES = {
    # name: (issuer, extensions, subject, key type, validity)
    "server": ("ca", "server", "/CN=server.test", "ec", FOREVER),
    "server_rsa": ("ca", "server", "/CN=server.test", "rsa", FOREVER),
    "alpha": ("ca", "alpha", "/CN=alpha.test", "ec", FOREVER),
    "by_name": ("ca", "plain", "/CN=by-name.test", "ec", FOREVER),
    "client": ("ca", "client", "/C=CH/O=Org, Inc/OU=Team+CN=client.test", "ec", FOREVER),
    "umlaut": ("ca", "plain", "/O= #x\\\\\"<>;/CN=Z\u00fcrich", "ec", FOREVER),
    "middle": ("ca", "authority", "/CN=Middle CA", "ec", FOREVER),
    "below": ("middle", "client", "/CN=below.test", "ec", FOREVER),
    "stranger": ("other_ca", "client", "/CN=stranger.test", "ec", FOREVER),
    "expired_server": ("ca", "server", "/CN=server.test", "ec", ("20200101000000Z", "20210101000000Z")),
    "revoked": ("ca", "client", "/CN=revoked.test", "ec", FOREVER),
    "itself": ("itself", "itself", "/CN=server.test", "ec", FOREVER),
    "expired": ("ca", "client", "/CN=expired.test", "ec", ("20200101000000Z", "20210101000000Z")),
}
KEYS = {"ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["-newkey", "rsa:2048"]}


def run(directory: str, *words: str) -> None:
    """One openssl command."""
    subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True)


def sign(directory: str, name: str, issuer: str, extensions: str, validity: "tuple[str, str]") -> None:
    """NAME.csr becomes NAME.crt."""
    own = ["-selfsign", "-keyfile", f"{name}.key"] if issuer == name else ["-cert", f"{issuer}.crt", "-keyfile", f"{issuer}.key"]
    run(
        directory, "ca", "-batch", "-config", "ca.cnf", *own, "-in", f"{name}.csr", "-notext", "-extensions", extensions,
        "-startdate", validity[0], "-enddate", validity[1], "-out", f"{name}.crt", "-utf8",
    )


def main() -> None:
    """Make them all anew."""
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        scratch = pathlib.Path(directory)
        (scratch / "ca.cnf").write_text(CONFIG)
        (scratch / "index.txt").write_text("")
        (scratch / "index.txt.attr").write_text("unique_subject = no\n")
        for name, subject in (("ca", "/O=Tests/CN=Test CA"), ("other_ca", "/CN=Other CA")):
            run(directory, "req", *KEYS["ec"], "-nodes", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
            sign(directory, name, name, "authority", FOREVER)
        for name, (issuer, extensions, subject, kind, validity) in LEAVES.items():
            run(
                directory, "req", *KEYS[kind], "-nodes", "-utf8", "-multivalue-rdn", "-subj", subject, "-keyout",
                f"{name}.key", "-out", f"{name}.csr",
            )
            sign(directory, name, issuer, extensions, validity)
        revoke = ["ca", "-config", "ca.cnf", "-cert", "ca.crt", "-keyfile", "ca.key"]
        run(directory, *revoke, "-revoke", "revoked.crt")
        run(directory, *revoke, "-gencrl", "-crldays", "34000", "-out", "ca.crl")
        run(directory, "pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:secret", "-out", "server_locked.key")
        for file in [*scratch.glob("*.crt"), *scratch.glob("*.crl"), *scratch.glob("*.key")]:
            if file.name not in ("ca.key", "other_ca.key", "middle.key"):
                (HERE / file.name).write_bytes(file.read_bytes())


if __name__ == "__main__":
    main()
