"""The filter language of Pub/Sub subscriptions: a text in, a predicate over a message's attributes out.

Strict where the service is strict, so that a filter which is taken here is taken there. The emulator cannot show
this: it stores filters, valid or not, and applies none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

Attributes = Mapping[str, str]
Predicate = Callable[[Attributes], bool]

MAX_FILTER_BYTES = 256
"""The longest filter that the service takes (Pub/Sub "Filter messages from a subscription")."""


class FilterError(ValueError):
    """The text is not a filter; says what was expected, and where."""


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


_TOKENS = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<symbol>!=|[=:().,-])
      | (?P<word>[A-Za-z0-9_][A-Za-z0-9_-]*)""",
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def compile_filter(text: str) -> Predicate:
    """The predicate of `text`; an empty text lets every message pass. Raises `FilterError`.

    Known: `attributes:KEY`, `attributes.KEY = "V"`, `!=`, `hasPrefix(attributes.KEY, "V")`, `NOT` (or `-`), `AND`,
    `OR`, parentheses. As in the service, AND and OR meet only with parentheses between them, and operators are in
    capitals.
    """
    if len(text.encode()) > MAX_FILTER_BYTES:
        raise FilterError(f"a filter has at most {MAX_FILTER_BYTES} bytes, this one has {len(text.encode())}")
    if not text.strip():
        return lambda _: True
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while at < len(text):
        match = _TOKENS.match(text, at)
        if match is None:
            raise FilterError(f"nothing in a filter begins with {text[at : at + 10]!r} (at {at})")
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    return [*found, _Token("end", "", at)]


class _Parser:
    """Reads one expression from left to right, one method for each rule of the grammar."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def whole(self) -> Predicate:
        predicate = self._expression()
        if self._peek().kind != "end":
            self._refuse("the end, or AND and OR kept apart by parentheses")
        return predicate

    def _expression(self) -> Predicate:
        terms = [self._term()]
        joint = self._peek().text
        if joint not in ("AND", "OR"):
            return terms[0]
        while self._peek().text == joint:
            self._take()
            terms.append(self._term())
        every = joint == "AND"
        return lambda attributes: (all if every else any)(term(attributes) for term in terms)

    def _term(self) -> Predicate:
        if self._peek().text in ("NOT", "-"):
            self._take()
            inner = self._term()
            return lambda attributes: not inner(attributes)
        if self._peek().text == "(":
            self._take()
            inner = self._expression()
            self._expect(")")
            return inner
        return self._has_prefix() if self._peek().text == "hasPrefix" else self._comparison()

    def _has_prefix(self) -> Predicate:
        for text in ("hasPrefix", "(", "attributes", "."):
            self._expect(text)
        key = self._key()
        self._expect(",")
        prefix = self._string()
        self._expect(")")
        return lambda attributes: attributes.get(key, "").startswith(prefix) and key in attributes

    def _comparison(self) -> Predicate:
        self._expect("attributes")
        if self._peek().text == ":":
            self._take()
            wanted = self._key()
            return lambda attributes: wanted in attributes
        self._expect(".")
        key, operator = self._key(), self._take()
        if operator.text == "=":
            value = self._string()
            return lambda attributes: attributes.get(key) == value
        if operator.text == "!=":
            other = self._string()
            return lambda attributes: attributes.get(key) != other
        self._next -= 1
        return self._refuse("= or !=")

    def _key(self) -> str:
        if self._peek().kind == "string":
            return self._string()
        if self._peek().kind != "word":
            self._refuse("the name of an attribute")
        return self._take().text

    def _string(self) -> str:
        if self._peek().kind != "string":
            self._refuse("a text in double quotes")
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), self._take().text[1:-1])

    def _expect(self, text: str) -> None:
        if self._peek().text != text:
            self._refuse(repr(text))
        self._take()

    def _refuse(self, wanted: str) -> Predicate:
        found = self._peek()
        raise FilterError(f"expected {wanted} at {found.at}, found {found.text or 'the end'!r}")

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token
