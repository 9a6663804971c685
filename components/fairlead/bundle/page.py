"""The page about a bundle: how it was exported, what is in it, how to serve it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairlead.bundle.compress.adopt import TABLE
from fairlead.bundle.compress.table import section, tried_of
from fairlead.bundle.parity import FLIPS, TOLERANCE
from fairlead.bundle.verify import ATTESTATIONS
from fairlead.records import Bundle, ParityResult
from fairlead.report import Badge, Block, Code, Facts, Note, Section, Table, Text, Tone, page

_TONE: dict[str, Tone] = {
    "agrees": "good",
    "disagrees": "bad",
    "not supported": "plain",
    "not tried": "plain",
}


def bundle_page(bundle: Bundle, manifest: Mapping[str, Any]) -> str:
    """One HTML page. The same bundle gives the same bytes."""
    return page(
        f"Bundle {bundle.name}:{bundle.digest[:16]}",
        f"{bundle.candidate} as {bundle.format}, from dataset {bundle.dataset[:16]}",
        [
            _summary(bundle, manifest),
            _parity(bundle),
            *_compression(bundle),
            _serving(bundle),
            _contents(manifest),
        ],
    )


def _summary(bundle: Bundle, manifest: Mapping[str, Any]) -> Section:
    facts = Facts({
        "Format": bundle.format,
        "Candidate": bundle.candidate,
        "Files": len(manifest["files"]) + len(manifest["code"]),
        "Version": Code(bundle.digest[:16]),
    })  # fmt: skip
    digest = Text(f"Digest: {bundle.digest}")
    intro = (
        "The digest names everything that changes predictions or runtime: equal inputs give an equal digest."
    )
    return Section("Summary", intro, [facts, digest, *_trust(manifest)])


def _trust(manifest: Mapping[str, Any]) -> list[Block]:
    if not manifest["trusted"]:
        return []
    return [
        Note(
            "Opening the model constructs these types: " + ", ".join(manifest["trusted"]),
            "info",
            "Trusted types",
        )
    ]


def _parity(bundle: Bundle) -> Section:
    intro = (
        "Formats are tried from the fastest to the slowest; the first that answers as the trained model does is served. "
        f"Probabilities may differ by {TOLERANCE:g}, values by {TOLERANCE:g} of their size, and no more than "
        f"{FLIPS:.1%} of the held-out rows may be decided otherwise."
    )
    return Section("Parity", intro, [parity_block([ParityResult(**row) for row in bundle.parity])])


def parity_block(results: Sequence[ParityResult]) -> Table:
    """The parity table, with outcomes as badges."""
    rows = [
        (
            one.format,
            Badge(one.outcome, _TONE.get(one.outcome, "plain")),
            one.max_difference,
            one.rows or None,
            one.reason,
        )
        for one in results
    ]
    return Table(("format", "outcome", "largest difference", "rows", "why"), rows)


def _compression(bundle: Bundle) -> list[Section]:
    """What smaller models would cost, if the project asked."""
    file = Path(bundle.path) / ATTESTATIONS / TABLE
    return [section(tried_of(json.loads(file.read_bytes())))] if file.is_file() else []


def _contents(manifest: Mapping[str, Any]) -> Section:
    files = {**{f"bundle/{name}": sha for name, sha in manifest["files"].items()}, **manifest["code"]}
    listed = Table(("file", "SHA-256"), [(Code(name), Code(files[name][:16])) for name in sorted(files)])
    pins = Table(
        ("package", "version"), [(Code(name), pin) for name, pin in sorted(manifest["requirements"].items())]
    )
    return Section("Contents", "Files and pins that the digest covers.", [listed, pins])


def _serving(bundle: Bundle) -> Section:
    steps = Table(
        ("to", "run"),
        [
            ("serve it here", Code("fairlead serve")),
            ("serve it with BentoML alone", Code(f"bentoml serve {bundle.path}/bento")),
            ("make an image of it", Code(f"bentoml containerize {bundle.path}/bento")),
        ],
    )
    return Section("Serve", "The bundle holds a Bento; nothing else is needed to serve it.", [steps])


def parity_markdown(results: Sequence[ParityResult]) -> str:
    """The parity table as Markdown, for the pipeline's user interface.

    >>> print(parity_markdown([ParityResult("onnx", "agrees", 2.5e-07, 600, "within 0.0001 on all rows")]), end="")
    | format | outcome | largest difference | rows | why |
    |---|---|---|---|---|
    | onnx | agrees | 2.5e-07 | 600 | within 0.0001 on all rows |
    """
    lines = ["| format | outcome | largest difference | rows | why |", "|---|---|---|---|---|"]
    for one in results:
        largest = "–" if one.max_difference is None else f"{one.max_difference:.3g}"
        reason = one.reason.replace("|", "\\|")
        lines.append(f"| {one.format} | {one.outcome} | {largest} | {one.rows or '–'} | {reason} |")
    return "\n".join(lines) + "\n"
