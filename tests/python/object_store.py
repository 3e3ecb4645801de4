"""An S3 of one's own on loopback, for as long as standard input is open: prints its port.

Run by tests/cloud. The interpreter is that of tests/python/environments/moto.txt.
"""

import logging
import os
import sys

from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.buffer.read()
os._exit(0)
