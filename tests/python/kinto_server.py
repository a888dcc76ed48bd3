"""Runs Kinto, with its memory backend, on a free loopback port, and tells on stdout what happens.

The first line is the port. After that there is one line for each answer: METHOD PATH STATUS. It changes nothing
about Kinto; it ends when its stdin is closed.
"""

import os
import sys
import threading

import kinto
import waitress

SETTINGS = {
    "kinto.storage_backend": "kinto.core.storage.memory",
    "kinto.cache_backend": "kinto.core.cache.memory",
    "kinto.permission_backend": "kinto.core.permission.memory",
    "kinto.includes": "kinto.plugins.accounts",
    "multiauth.policies": "account",
    "multiauth.policy.account.use": "kinto.plugins.accounts.AccountsPolicy",
    "kinto.account_create_principals": "system.Everyone",
    "kinto.bucket_create_principals": "system.Authenticated",
    "kinto.userid_hmac_secret": "only for this test",
}


def telling(app):
    """Wraps an application so that the status of each answer is printed."""

    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            line = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {status.split()[0]}"
            print(line, flush=True)
            return start_response(status, headers, exc_info)

        return app(environ, start)

    return wrapped


def end_with_parent():
    """Ends the process when whoever started it is gone."""
    sys.stdin.read()
    os._exit(0)


def main():
    app = kinto.main({}, **SETTINGS)
    server = waitress.create_server(telling(app), host="127.0.0.1", port=0, threads=4)
    print(server.effective_port, flush=True)
    threading.Thread(target=end_with_parent, daemon=True).start()
    server.run()


if __name__ == "__main__":
    main()
