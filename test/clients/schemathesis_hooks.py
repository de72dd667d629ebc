"""Keeps schemathesis' requests small: a good one may ask for hours of work."""

from typing import Any

import schemathesis

# Field, what the document allows at most, what is sent instead of more than that.
CAPS = (("n", 128, 2), ("best_of", 20, 3), ("max_tokens", 32_768, 16), ("max_completion_tokens", 32_768, 16))


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    if isinstance(body, dict):
        for field, allowed, cap in CAPS:
            value = body.get(field)
            if isinstance(value, int) and cap < value <= allowed:
                body[field] = cap
    return body
