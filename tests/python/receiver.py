"""A webhook receiver that verifies with the official `standardwebhooks` package, and tells on stdout what arrives.

Usage: receiver.py SECRET. The first line is the port. After that there is one JSON object a line for each webhook:
`verified` (true, or false with `why`), `id` and `body`. It answers 204, or 401 when the signature is wrong. It ends
when its stdin is closed.
"""

import http.server
import json
import os
import sys
import threading

from standardwebhooks import Webhook


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    webhook = None

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {"id": headers.get("webhook-id"), "body": body.decode("utf-8")}
        try:
            self.webhook.verify(body.decode("utf-8"), headers)
            told["verified"] = True
        except Exception as error:
            told.update(verified=False, why=repr(error))
        print(json.dumps(told), flush=True)
        self.send_response(204 if told["verified"] else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def end_with_parent():
    """Ends the process when whoever started it is gone."""
    sys.stdin.read()
    os._exit(0)


def main():
    Receiver.webhook = Webhook(sys.argv[1])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    print(server.server_address[1], flush=True)
    threading.Thread(target=end_with_parent, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
