"""Reads one HTTP message with the official SDK of CloudEvents and prints what it understood.

Standard input: {"headers": {…}, "body": "text"}. Standard output: {"mode": …, "attributes": {…}, "data": …}.
"""

import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_binary_event, from_http_event, from_structured_event

asked = json.load(sys.stdin)
message = HTTPMessage(headers=asked["headers"], body=asked["body"].encode())
structured = asked["headers"]["content-type"].startswith("application/cloudevents")
event = (from_structured_event if structured else from_binary_event)(message)
assert from_http_event(message).get_attributes() == event.get_attributes(), "the SDK takes it for another mode"
json.dump(
    {
        "mode": "structured" if structured else "binary",
        "attributes": {name: str(value) for name, value in event.get_attributes().items()},
        "time": event.get_time().isoformat(),
        "data": event.get_data(),
    },
    sys.stdout,
)
