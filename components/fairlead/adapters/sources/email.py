"""E-mails as they are found in the wild, to columns of text. Nothing a mail may contain stops it from being read."""

from __future__ import annotations

import email
import email.policy
import re
from datetime import UTC
from email.message import Message
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser

COLUMNS = ("text", "subject", "sender", "date")
_SPACE = re.compile(r"[ \t\r\f\v\xa0]+")
_LINES = re.compile(r"\n\s*\n+")


def parse_email(raw: bytes, encoding: str = "utf-8") -> dict[str, str | None]:
    """The readable text of a mail, its subject, sender and date (UTC, ISO 8601; None if it has none that can be read).

    Args:
        raw: The whole mail with its headers.
        encoding: Of parts that do not name theirs.
    """
    message = email.message_from_bytes(raw, policy=email.policy.default)
    return {
        "text": _tidy("\n\n".join(_readable_parts(message, encoding))),
        "subject": _header(message, "subject"),
        "sender": _header(message, "from"),
        "date": _date(_header(message, "date")),
    }


def _readable_parts(message: Message, encoding: str) -> list[str]:
    """The plain parts, or the HTML ones as text where no plain one says anything."""
    plain, html = [], []
    for part in message.walk():
        kind = part.get_content_type()
        # A multipart mail without its boundary has no parts: what there is of it is text.
        if part.is_multipart() or not kind.startswith(("text/", "multipart/")):
            continue
        text = _decoded(part, encoding)
        if kind == "text/html":
            html.append(html_text(text))
        elif text.strip():
            plain.append(text)
    return plain or html


def _decoded(part: Message, encoding: str) -> str:
    """The part's text. Wrong transfer encodings are passed through, unknown charsets and wrong bytes replaced."""
    content = part.get_payload(decode=True)
    raw = content if isinstance(content, bytes) else b""
    charset = part.get_param("charset", encoding)
    try:
        return raw.decode(str(charset), errors="replace")
    except (LookupError, ValueError):
        return raw.decode(encoding, errors="replace")


def _header(message: Message, name: str) -> str:
    """A header as text. The standard library raises on some broken ones, each in its own way; those are taken raw."""
    try:
        return _clean(str(message[name] or ""))
    except Exception:
        raw = next((value for key, value in message.raw_items() if key.lower() == name), "")
        return _clean(str(raw))


def _date(text: str) -> str | None:
    try:
        moment = parsedate_to_datetime(text)
        moment = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.isoformat()


def html_text(html: str) -> str:
    """The text a reader of the HTML would see.

    >>> html_text("<style>p {}</style><p>Buy <b>now</b>!</p>&lt;3")
    'Buy now! <3'
    """
    reader = _TextOnly()
    reader.feed(html)
    reader.close()
    return _tidy("".join(reader.pieces))


class _TextOnly(HTMLParser):
    """Collects text, leaving out what is not shown."""

    HIDDEN = frozenset({"script", "style", "head", "title"})
    BLOCKS = frozenset({"p", "br", "div", "tr", "li", "table", "h1", "h2", "h3", "td"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag in self.HIDDEN:
            self._hidden = tag
        elif tag == "body":
            self._hidden = ""  # a head that is never closed must not hide the whole mail
        elif tag in self.BLOCKS:
            self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""
        elif tag in self.BLOCKS:
            self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)

    def unknown_decl(self, data: str) -> None:
        """Broken declarations are not text."""


def _tidy(text: str) -> str:
    return _clean(_LINES.sub("\n\n", _SPACE.sub(" ", text)))


def _clean(text: str) -> str:
    """*text* as valid Unicode: bytes that could not be decoded arrive as lone surrogates."""
    return text.encode("utf-8", errors="replace").decode("utf-8").strip()
