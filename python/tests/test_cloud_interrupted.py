"""Ctrl-C while a store is waited for: it is heard at once, and what is not whole is given up."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.request

import pytest
from conftest import DIGITS, ROOT
from test_cloud import bucket  # noqa: F401

# A request that is held would be given up after 30 s, and tried again.
AT_ONCE = 15


class Held:
    """What lies between the package and a server: requests with `mark` in their head never arrive."""

    def __init__(self, port: int, mark: bytes) -> None:
        self.upstream, self.mark = port, mark
        self.seen = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.upstream))
            for source, target, mark in [(client, server, self.mark), (server, client, None)]:
                threading.Thread(target=self._pass, args=(source, target, mark), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, mark: bytes | None) -> None:
        last = b""
        try:
            while data := source.recv(1 << 16):
                if mark is not None and mark in last + data:
                    self.seen.set()
                    return
                last = data[-len(mark) :] if mark else b""
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def interrupt(held: Held, store: dict[str, object], code: str, **names: object) -> None:
    """Runs `code`, with `names` in it, until a request is held, and presses Ctrl-C."""
    store = {**store, "aws_endpoint": f"http://127.0.0.1:{held.port}"}
    code = textwrap.dedent(code).format(store=store, **names)
    # Whoever runs the tests in the background ignores it, and so would what they start.
    heard = "import signal, tfarrow\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program = f"{heard}try:\n{textwrap.indent(code, '    ')}\nexcept KeyboardInterrupt:\n    print('interrupted')"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
    ) as child:
        assert held.seen.wait(120), child.poll()
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=120)
    assert said == "interrupted\n" and child.returncode == 0
    assert time.monotonic() - sent < AT_ONCE


def port_of(store: dict[str, object]) -> int:
    return int(str(store["aws_endpoint"]).rsplit(":", 1)[1])


def there(port: int, query: str) -> str:
    """What the bucket says it holds."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/bucket?{query}")
    signed = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    request.add_header("Authorization", signed)
    with urllib.request.urlopen(request) as answer:
        return answer.read().decode()


@pytest.mark.parametrize(
    "code",
    [
        "tfarrow.open('s3://bucket/digits/', store={store}).to_numpy()",
        "for batch in tfarrow.open('s3://bucket/digits/', store={store}): pass",
        "tfarrow.open('s3://bucket/digits/', store={store}).write({here!r})",
    ],
)
def test_ctrl_c_is_heard_while_an_object_is_waited_for(bucket, code, tmp_path):  # noqa: F811
    _, store = bucket
    interrupt(Held(port_of(store), b"bytes=65536-"), store, code, here=str(tmp_path / "here.arrow"))
    assert not list(tmp_path.iterdir())


def test_ctrl_c_gives_up_what_is_written_to_a_store(bucket):  # noqa: F811
    _, store = bucket
    port = port_of(store)
    code = "tfarrow.open([{digits!r}] * 60).write('s3://bucket/interrupted.arrow', store={store})"
    interrupt(Held(port, b"partNumber=2"), store, code, digits=DIGITS)
    assert "interrupted.arrow" not in there(port, "uploads")
    assert "interrupted.arrow" not in there(port, "list-type=2")
