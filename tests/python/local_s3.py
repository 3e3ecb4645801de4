"""An S3 on loopback, for tests in Python."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest


class Bucket:
    """A bucket of it: its URL, and what leads to it."""

    def __init__(self, port: int) -> None:
        self.url = "s3://bucket"
        self.store: dict[str, Any] = {
            "aws_endpoint": f"http://127.0.0.1:{port}",
            "aws_allow_http": True,
            "aws_access_key_id": "key",
            "aws_secret_access_key": "hush",
        }
        self.put("")

    def _ask(self, key: str, method: str, body: bytes | None = None) -> bytes:
        # That there is a signature counts, and nobody looks at it.
        signed = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
        headers = {"Authorization": signed, "Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{self.store['aws_endpoint']}/bucket/{key}", body, headers, method=method)
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def put(self, key: str, body: bytes = b"") -> None:
        self._ask(key, "PUT", body)

    def put_folder(self, key: str, folder: pathlib.Path) -> None:
        """The files of a folder, below `key`."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{key}/{path.relative_to(folder).as_posix()}", path.read_bytes())

    def objects(self, prefix: str) -> dict[str, bytes]:
        """What there is below `prefix`, by what the keys go on with."""
        listing = self._ask(f"?list-type=2&prefix={urllib.parse.quote(prefix)}", "GET").decode()
        keys = re.findall("<Key>(.*?)</Key>", listing)
        return {key.removeprefix(prefix): self._ask(urllib.parse.quote(key), "GET") for key in keys}


@contextlib.contextmanager
def local_s3() -> Iterator[Bucket]:
    """A bucket for as long as it is used. Needs TFARROW_TEST_MOTO, an interpreter that has moto."""
    python = os.environ.get("TFARROW_TEST_MOTO")
    if not python:
        assert "CI" not in os.environ, "TFARROW_TEST_MOTO is not set; run ./test.sh"
        pytest.skip("TFARROW_TEST_MOTO is not set (./test.sh sets it)")
    script = pathlib.Path(__file__).with_name("object_store.py")
    server = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin and server.stdout
    try:
        yield Bucket(int(server.stdout.readline()))
    finally:
        server.stdin.close()
        server.wait()
