"""A web server on loopback for as long as standard input is open: prints its port.

    web_server.py FOLDER [https] [no-etag] [no-ranges]

Gives the files of a folder, and parts of them. The interpreter is that of tests/python/environments/moto.txt.
"""

import datetime
import email.utils
import http.server
import ipaddress
import os
import re
import ssl
import sys
import tempfile
import threading
import urllib.parse

folder, *how = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = os.path.join(folder, urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).lstrip("/"))
        if not os.path.isfile(path):
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with open(path, "rb") as file:
            body = file.read()
        state = os.stat(path)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked and "no-ranges" not in how:
            first, last = int(asked[1]), min(int(asked[2]), len(body) - 1)
            self.send_response(206 if first < len(body) else 416)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
            body = body[first : last + 1]
        else:
            self.send_response(200)
        if "no-etag" not in how:
            self.send_header("ETag", f'"{state.st_mtime_ns:x}"')
        self.send_header("Last-Modified", email.utils.formatdate(state.st_mtime, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


def certificate() -> str:
    """A file with a certificate of nobody's, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        file.write(built.public_bytes(serialization.Encoding.PEM))
    return file.name


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if "https" in how:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path = certificate()
    context.load_cert_chain(path)
    os.remove(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.buffer.read()
os._exit(0)
