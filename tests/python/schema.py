"""Validates documents against a JSON Schema with the `jsonschema` package, which knows nothing of Doorbell.

Reads {"schema": ..., "cases": [{"toml": TEXT} or {"json": VALUE}, ...]} from standard input, and prints a list with
the errors of each case: none, where the document is valid.
"""

import json
import sys
import tomllib

from jsonschema import Draft202012Validator

asked = json.load(sys.stdin)
Draft202012Validator.check_schema(asked["schema"])
validator = Draft202012Validator(asked["schema"])


def errors(case):
    document = tomllib.loads(case["toml"]) if "toml" in case else case["json"]
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(document)]


print(json.dumps([errors(case) for case in asked["cases"]]))
