"""Verifies webhooks with other people's code: the receivers' own libraries, where there are any.

Usage: verify.py SCHEME. On stdin: a JSON array of `{ secret, method, url, headers, body }`; on stdout: a JSON array with
null for each that is believed, and else the reason.
"""

import base64
import hashlib
import hmac
import json
import sys
import types

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def public_key(text):
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text.removeprefix("whpk_")))


def standard(case):
    from standardwebhooks import Webhook

    Webhook(case["secret"]).verify(case["body"], case["headers"])


def standard_ed25519(case):
    headers = case["headers"]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{case['body']}".encode()
    claims = [claim.removeprefix("v1a,") for claim in headers["webhook-signature"].split() if claim.startswith("v1a,")]
    public_key(case["secret"]).verify(base64.b64decode(claims[0]), signed)


def stripe(case):
    from stripe import Webhook, WebhookSignature

    signature = case["headers"]["stripe-signature"]
    if case["body"].startswith("["):
        # An event of theirs is an object; their check of the signature takes any body.
        WebhookSignature.verify_header(case["body"], signature, case["secret"], Webhook.DEFAULT_TOLERANCE)
    else:
        Webhook.construct_event(case["body"], signature, case["secret"])


def slack(case):
    from slack_sdk.signature import SignatureVerifier

    assert SignatureVerifier(case["secret"]).is_valid_request(case["body"], case["headers"]), "the signature does not fit"


def rfc9421(case):
    from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms

    ed25519 = case["secret"].startswith("whpk_")

    class Keys(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id):
            assert ed25519 or key_id == "crm", key_id
            return public_key(case["secret"]) if ed25519 else case["secret"].encode()

    verifier = HTTPMessageVerifier(
        signature_algorithm=algorithms.ED25519 if ed25519 else algorithms.HMAC_SHA256, key_resolver=Keys()
    )
    message = types.SimpleNamespace(method=case["method"], url=case["url"], headers=case["headers"])
    required = ("@method", "@target-uri", "content-type", "content-digest", "webhook-id", "webhook-timestamp")
    verifier.verify(message, require_components=required, body=case["body"].encode())


def custom(case):
    signed = f"{case['headers']['webhook-timestamp']}:{case['url']}:{case['body']}".encode()
    ours = base64.b64encode(hmac.new(case["secret"].encode(), signed, hashlib.sha512).digest()).decode()
    assert case["headers"]["x-signature"] == f"v=1; s={ours}", "the signature does not fit"


def verdict(scheme, case):
    try:
        scheme(case)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main():
    schemes = (standard, standard_ed25519, stripe, slack, rfc9421, custom)
    scheme = {scheme.__name__: scheme for scheme in schemes}[sys.argv[1]]
    print(json.dumps([verdict(scheme, case) for case in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
