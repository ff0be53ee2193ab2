"""Writes the JSON schema that is published with the package.

Run ``python -m summary.publish`` in ``tests`` after changing the catalogue.
"""

import json
from pathlib import Path

import synapse_audit
from synapse_audit.summary import json_schema

FILE = Path(str(synapse_audit.__file__)).parent / "summary" / "summary.schema.json"


def text() -> str:
    return json.dumps(json_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
