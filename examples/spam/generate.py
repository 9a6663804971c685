"""A small set of e-mails, wanted and unwanted, with the forms and faults that real mail has.

Writes one RFC 822 file a mail into the folders ``ham`` and ``spam``. Some are plain, some HTML, some both, in
several encodings and character sets; a few are broken: a header line without a colon, an unknown character
set, a cut-off end, raw 8-bit bytes in a header, no subject. Which form and faults a mail has does not depend
on what it says. All texts are our own.

The set in ``mails`` was made by ``python generate.py`` and is here so that the example runs as it stands. The
same arguments give the same bytes, in any process.

    python generate.py --out mails --rows 600 --seed 11
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

import numpy as np

SPAM_SHARE = 0.33
BROKEN_SHARE = 0.08
FIRST_DAY = datetime(2024, 1, 8, 7, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Topic:
    """What a kind of mail talks about: subjects and sentences with slots in braces."""

    subjects: tuple[str, ...]
    sentences: tuple[str, ...]


HAM = (
    Topic(
        (
            "Minutes of {weekday}'s meeting",
            "Re: budget for {month}",
            "Room change on {weekday}",
            "Your travel request",
        ),
        (
            "I moved our meeting to {weekday} at {hour}, same room.",
            "Please send me the figures for {month} before noon.",
            "{name} cannot come, so I will present the numbers.",
            "The travel request is approved; keep the receipts for accounting.",
            "Attached are the minutes, corrections until {weekday} please.",
            "The budget is {amount} over, mostly because of the new rooms.",
            "Could you and {name} look at the draft contract together?",
        ),
    ),
    Topic(
        (
            "Re: [build] test fails on {weekday}",
            "Patch for the parser",
            "Review of change {number}",
            "Release {number}",
        ),
        (
            "The parser drops the last line when the file has no line feed at the end.",
            "I bisected it to change {number}; the cache key ignores the locale.",
            "Can you rebase? The branch conflicts with what {name} merged on {weekday}.",
            "The test passes here, but it hangs on the machine with two cores.",
            "Wrote: > does anybody know why the lock is taken twice?",
            "I would rather keep the old interface for one release and warn.",
            "The stack trace is at the end of this mail, the core dump is {number} megabytes.",
        ),
    ),
    Topic(
        ("Dinner on {weekday}?", "Photos from the lake", "Mum's birthday", "Keys"),
        (
            "We are at the lake until {weekday}, come over if you like.",
            "{name} asked whether you still have the keys of the cellar.",
            "The photos are lovely, can I have the one with the dog?",
            "Shall we cook together or order something?",
            "The train arrives at {hour}, no need to fetch me.",
            "Mum's birthday is on {weekday}; I thought of a book and flowers.",
            "The little one has a cold, so we stay at home this week.",
        ),
    ),
    Topic(
        (
            "Your order {number} has been sent",
            "News from the bookshop, {month}",
            "Your invoice {number}",
            "Member letter",
        ),
        (
            "Your order {number} was handed to the post today.",
            "This month in the shop: two readings and a table of reduced maps, up to {percent} percent off.",
            "You receive this letter because you subscribed in our shop; click here to unsubscribe.",
            "The invoice over {amount} is attached, payable within fourteen days.",
            "As a member you save on every ticket; the offer is valid until the end of {month}.",
            "The returned lamp arrived, we have credited {amount} to your card.",
            "Free admission for members on {weekday}, please bring your card.",
        ),
    ),
)

SPAM = (
    Topic(
        (
            "Cheap tablets, no prescription",
            "{percent}% off your pharmacy order",
            "Doctors do not want you to know",
        ),
        (
            "Order tablets online, no prescription needed, discreet parcel worldwide.",
            "Our pharmacy has the lowest prices, save {percent} percent today only.",
            "Lose weight without diet or exercise, money back guaranteed.",
            "Thousands of satisfied men cannot be wrong, click here now.",
            "Hair loss stopped in weeks with our herbal formula.",
        ),
    ),
    Topic(
        (
            "Your loan is approved",
            "Refinance now at {percent}%",
            "Debts? We say yes!",
            "Lowest mortgage rates",
        ),
        (
            "Your application was pre-approved for {amount}, no credit check.",
            "Refinance your mortgage now, rates are at an all-time low.",
            "Consolidate your debts into one low monthly payment.",
            "Fill in our short form, hundreds of lenders compete for your loan.",
            "Bad credit is no problem, act now before rates rise.",
        ),
    ),
    Topic(
        (
            "CONGRATULATIONS winner {number}",
            "Confidential business proposal",
            "Claim your prize",
            "Urgent assistance",
        ),
        (
            "Your address won {amount} in our international lottery, claim your prize now.",
            "I am the widow of a minister and need a trusted partner to transfer the funds.",
            "You will receive thirty percent of the sum for your assistance.",
            "Reply with your bank account and telephone number in strict confidence.",
            "This is not a joke, the prize expires on {weekday}.",
        ),
    ),
    Topic(
        (
            "Earn {amount} a week from home",
            "Quit your job",
            "Make money while you sleep",
            "Re: your new income",
        ),
        (
            "Work from home and earn {amount} a week, no experience needed.",
            "Our secret system makes money while you sleep.",
            "Millions of addresses on one disc, reach your customers by bulk mail.",
            "Be your own boss, order the starter package today.",
            "This is not spam, you opted in at a partner site; click to be removed.",
        ),
    ),
    Topic(
        ("Your account will be closed", "Security notice {number}", "Verify your card", "Unusual sign-in"),
        (
            "We noticed unusual activity, verify your account within one day or it will be closed.",
            "Click the link below and enter your card number and password.",
            "Your mailbox is full, confirm your password to keep your mails.",
            "For your safety your card is locked until you confirm your details.",
            "Dear customer, failure to verify leads to permanent suspension.",
        ),
    ),
)

COMMON = (
    "Thank you and best regards.", "Have a good {weekday}.", "Let me know what you think.", "Hello {name},",
    "Please reply soon.", "See you, {name}", "Best wishes from {city}.", "Sorry for the late answer.",
    "More on our page.", "The weather in {city} is terrible.", "Call me at {number} if anything is unclear.",
)  # fmt: skip

SLOTS: dict[str, tuple[str, ...]] = {
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
    "month": ("January", "February", "March", "April", "May", "June"),
    "name": ("Jörg", "Anna", "Zoë", "Petr", "Márta", "Ivo", "Claire", "Sam"),
    "city": ("Graz", "Brno", "Győr", "Bergen", "Porto", "Łódź"),
    "hour": ("nine", "half past ten", "noon", "four"),
    "amount": ("200 €", "1,450 €", "12,000 €", "850,000 €"),
    "percent": ("3.9", "15", "40", "70"),
}


# ------------------------------------------------------------------------------------------------ the words


def write_text(rng: np.random.Generator, topics: Sequence[Topic]) -> tuple[str, list[str]]:
    """A subject and the sentences of a mail: one topic, perhaps a sentence of another, and what all say."""
    topic = topics[int(rng.integers(len(topics)))]
    subject = str(rng.choice(topic.subjects))
    count = int(rng.integers(2, len(topic.sentences) + 1))
    sentences = [str(sentence) for sentence in rng.choice(topic.sentences, size=count, replace=False)]
    if rng.random() < 0.3:
        sentences.append(str(rng.choice(topics[int(rng.integers(len(topics)))].sentences)))
    sentences += [
        str(sentence) for sentence in rng.choice(COMMON, size=int(rng.integers(1, 5)), replace=False)
    ]
    order = rng.permutation(len(sentences))
    return fill(rng, subject), [fill(rng, sentences[position]) for position in order]


def fill(rng: np.random.Generator, text: str) -> str:
    """Put a random word into every slot of *text*."""
    words = {name: str(rng.choice(choices)) for name, choices in SLOTS.items()}
    return text.format(number=int(rng.integers(100, 99_999)), **words)


# ------------------------------------------------------------------------------------------------- the form


def as_mail(rng: np.random.Generator, number: int, subject: str, sentences: Sequence[str]) -> EmailMessage:
    """The text as a mail in one of the usual forms."""
    mail = EmailMessage()
    mail["From"] = f"{rng.choice(SLOTS['name'])} <user{rng.integers(1000)}@example{rng.integers(30)}.org>"
    mail["To"] = "reader@example.net"
    mail["Subject"] = subject
    mail["Date"] = format_datetime(FIRST_DAY + timedelta(minutes=int(rng.integers(200_000))))
    mail["Message-ID"] = f"<{number:06d}.{rng.integers(10**9)}@example.org>"
    plain = "\n".join(sentences) + "\n"
    charset = str(rng.choice(["utf-8", "utf-8", "iso-8859-2", "utf-16"]))
    encoding = str(rng.choice(["quoted-printable", "base64"]))
    form = rng.choice(["plain", "html", "both"], p=[0.5, 0.2, 0.3])
    if form == "html":
        mail.set_content(as_html(rng, sentences), subtype="html", charset="utf-8", cte=encoding)
    else:
        mail.set_content(plain, charset=_able_to_say(plain, charset), cte=encoding)
    if form == "both":
        mail.add_alternative(as_html(rng, sentences), subtype="html", charset="utf-8", cte=encoding)
        mail.set_boundary(f"----=_part_{number:06d}")
    return mail


def _able_to_say(text: str, charset: str) -> str:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return "utf-8"
    return charset


def as_html(rng: np.random.Generator, sentences: Sequence[str]) -> str:
    """The sentences as a page with what is no text: a style sheet, a script, a comment, entities."""
    lines = [line.replace("&", "&amp;").replace("€", "&euro;") for line in sentences]
    body = "".join(f"<p>{line}</p>\n" if rng.random() < 0.5 else f"{line}<br>\n" for line in lines)
    extras = "<!-- template 7 --><script>var page = 1;</script>" if rng.random() < 0.3 else ""
    style = "<style>p {color: #333}</style>"
    return f"<html><head>{style}</head><body>{extras}\n{body}<a href='http://example.org/{rng.integers(99)}'>more</a></body></html>\n"


# ----------------------------------------------------------------------------------------------- the faults


def _line_without_colon(raw: bytes) -> bytes:
    return raw.replace(b"\n\n", b"\nthis line is no header\n\n", 1)


def _unknown_charset(raw: bytes) -> bytes:
    return raw.replace(b'charset="utf-8"', b'charset="x-no-such-charset"')


def _raw_bytes_in_header(raw: bytes) -> bytes:
    return raw.replace(b"\nSubject: ", "\nSubject: Über ".encode("latin-1"), 1)


def _no_subject(raw: bytes) -> bytes:
    lines = raw.split(b"\n")
    return b"\n".join(line for line in lines if not line.startswith(b"Subject:"))


def _impossible_date(raw: bytes) -> bytes:
    return raw.replace(b"\nDate: ", b"\nDate: 31 Feb or so, ", 1)


def _cut_off(raw: bytes) -> bytes:
    return raw[: -len(raw) // 8].rpartition(b"\n")[0]


FAULTS: tuple[Callable[[bytes], bytes], ...] = (
    _line_without_colon, _unknown_charset, _raw_bytes_in_header, _no_subject, _impossible_date, _cut_off,
)  # fmt: skip


# ------------------------------------------------------------------------------------------------- writing


def generate(rows: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of *rows* mails."""
    rng = np.random.default_rng(seed)
    for number in range(rows):
        label, topics = ("spam", SPAM) if rng.random() < SPAM_SHARE else ("ham", HAM)
        raw = as_mail(rng, number, *write_text(rng, topics)).as_bytes()
        if rng.random() < BROKEN_SHARE:
            raw = FAULTS[rng.integers(len(FAULTS))](raw)
        yield f"{label}/{number:05d}.txt", raw


@contextmanager
def whole_folder(out: Path, pattern: str) -> Iterator[Path]:
    """A folder to write into that becomes *out* only when all is written, in place of an earlier one.

    Refuses to replace a folder that holds anything but files of *pattern*: a wrong ``--out`` deletes nothing.
    """
    strangers = [
        found.name for found in sorted(out.rglob("*")) if found.is_file() and not found.match(pattern)
    ]
    if strangers:
        raise SystemExit(f"{out} holds {strangers[0]}, which is none of {pattern}: choose another --out")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, generate, write, say what was written."""
    parser = argparse.ArgumentParser(description="Generate a small set of e-mails, wanted and unwanted.")
    option = parser.add_argument
    option("--out", type=Path, default=Path("mails"), help="folder to write (default: mails)")
    option("--rows", type=int, default=600, help="number of mails (default: 600)")
    option("--seed", type=int, default=11, help="the same seed gives the same files (default: 11)")
    asked = parser.parse_args(arguments)
    spam = 0
    with whole_folder(asked.out, "[0-9][0-9][0-9][0-9][0-9].txt") as folder:
        for name, raw in generate(asked.rows, asked.seed):
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(raw)
            spam += name.startswith("spam/")
    print(f"{asked.rows} mails, {spam} of them spam, in {asked.out}")


if __name__ == "__main__":
    main()
