"""An S3 of one's own on loopback, for as long as standard input is open: prints its port.

Run by tests/cloud. The interpreter is that of tests/python/environments/moto.txt. With the argument `google` it stands
in for Google's store, which speaks nearly the same language (its "XML API"): everybody is let in, and the condition of
a write, that there is no generation of the object, is told as S3 has it.
"""

import logging
import os
import sys
import threading

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

SOMEBODY = "AWS4-HMAC-SHA256 Credential=somebody/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"

logging.getLogger("werkzeug").setLevel(logging.ERROR)
s3 = DomainDispatcherApplication(create_backend_app)


def google(environ, start_response):
    environ["HTTP_AUTHORIZATION"] = SOMEBODY
    if environ.pop("HTTP_X_GOOG_IF_GENERATION_MATCH", None) == "0":
        environ["HTTP_IF_NONE_MATCH"] = "*"
    return s3(environ, start_response)


def until_closed():
    sys.stdin.buffer.read()
    os._exit(0)


server = make_server("127.0.0.1", 0, google if "google" in sys.argv[1:] else s3, threaded=True)
threading.Thread(target=until_closed, daemon=True).start()
print(server.server_port, flush=True)
server.serve_forever()
