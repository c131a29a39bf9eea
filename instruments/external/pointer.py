"""Where in a JSON answer a value is: JSON Pointer (RFC 6901)."""

from __future__ import annotations

from typing import Any, Final

_LONGEST: Final = 500
Tokens = tuple[str, ...]


class NotThere(LookupError):
    """The document has nothing at a pointer. ``at``: as far as there was something; ``there``: what is beside it."""

    def __init__(self, at: str, there: str) -> None:
        super().__init__(f"{at or 'the top'} has {there}")
        self.at = at
        self.there = there


def parse(text: str) -> Tokens:
    """Return the reference tokens of a pointer, unescaped; ``''`` is the whole document. Raises ValueError."""
    if len(text) > _LONGEST:
        raise ValueError(f"a JSON pointer of more than {_LONGEST} characters")
    if not text:
        return ()
    if not text.startswith("/"):
        raise ValueError(f"'{text}' is no JSON pointer: it begins with '/'")
    tokens = text[1:].split("/")
    for token in tokens:
        rest = token.replace("~0", "").replace("~1", "")
        if "~" in rest:
            raise ValueError(f"'{text}' is no JSON pointer: '~' is written ~0, '/' within a name ~1")
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def find(document: Any, tokens: Tokens) -> Any:
    """Return the value at a pointer. Raises NotThere."""
    value = document
    for number, token in enumerate(tokens):
        if isinstance(value, dict) and token in value:
            value = value[token]
            continue
        if isinstance(value, list) and _is_index(token) and int(token) < len(value):
            value = value[int(token)]
            continue
        raise NotThere(text_of(tokens[:number]), _kind(value))
    return value


def text_of(tokens: Tokens) -> str:
    """Return the pointer of some tokens."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


def _is_index(token: str) -> bool:
    """Whether a token names an item of a list: RFC 6901 allows no leading zeros, and '-' is none of its items."""
    return token.isascii() and token.isdecimal() and len(token) < 10 and (token == "0" or not token.startswith("0"))


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "only " + ", ".join(str(key)[:40] for key in list(value)[:12]) if value else "nothing"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "no members"
