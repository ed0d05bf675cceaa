"""A certificate authority and a server certificate for loopback, made by the openssl program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
AUTHORITY = (
    f"req -x509 {KEY} -keyout ca.key -out ca.pem -days 2 -subj /CN=test-authority "
    "-addext keyUsage=critical,keyCertSign,cRLSign"
)
REQUEST = f"req {KEY} -keyout server.key -out server.csr -subj /CN=localhost"
SIGN = (
    "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names"
)
CONVERT = "pkcs8 -topk8 -nocrypt -in server.key -out server.pk8"


@dataclass(frozen=True)
class Certificates:
    """PEM files: what clients trust, and key and chain of the server in one."""

    authority: Path
    server_keystore: Path


def make_certificates(folder: Path) -> Certificates:
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for command in (AUTHORITY, REQUEST, SIGN, CONVERT):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True, cwd=folder)
    keystore = folder / "keystore.pem"
    keystore.write_text(
        "".join((folder / name).read_text() for name in ("server.pk8", "server.pem", "ca.pem"))
    )
    return Certificates(folder / "ca.pem", keystore)
