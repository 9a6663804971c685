"""Rewrite the files that are generated from code and stand beside it; ``--check`` only compares.

Generated are the JSON schemas of project file and contract, the compiled flows and components, the pages of ``--help`` and of
the server's settings, the charts' values, schemas and tables of values, and the classes of the messages of gRPC.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def generated() -> Iterator[tuple[Path, str]]:
    """Every generated file and what it should hold."""
    from fairlead.flows.compiled import COMPONENTS, FLOWS, compile_component, compile_flow
    from fairlead.spec.jsonschema import SCHEMA_FILES, schema_text
    from tools.charts.files import chart_files
    from tools.protocol import protocol_files
    from tools.settings_page import settings_page

    for name in SCHEMA_FILES:
        yield ROOT / "components/fairlead/spec" / name, schema_text(name)
    for name in COMPONENTS:
        yield ROOT / "components/fairlead" / name, compile_component(name)
    for name in FLOWS:
        yield ROOT / f"pipelines/fairlead/flows/{name}.yaml", compile_flow(name)
    yield ROOT / "docs/cli.md", help_pages()
    yield ROOT / "docs/settings.md", settings_page()
    yield from chart_files(ROOT / "helm")
    yield from protocol_files(ROOT)


VERBS = ("", "init", "check", "plan", "run", "serve", "demo", "push", "compile", "runs", "driver", "data infer", "models list",
         "models show", "models compare", "models promote", "bundle fetch", "bundle values", "log ship", "log show",
         "log forget", "bench serve")  # fmt: skip


def help_pages() -> str:
    """The help of every verb as one Markdown page."""
    parts = ["# The command line\n\nGenerated from `fairlead … --help`.\n"]
    for verb in VERBS:
        title = f"fairlead {verb}".strip()
        parts.append(f"\n## {title}\n\n```text\n{_help_of(verb)}\n```\n")
    return "".join(parts)


def _help_of(verb: str) -> str:
    plain = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "fairlead.cli.main", *verb.split(), "--help"]
    text = subprocess.run(command, env=plain, capture_output=True, text=True, check=True).stdout
    return re.sub(r"python -m fairlead\.cli\.main|main\.py", "fairlead", text).strip()


def main() -> int:
    """Write or compare; returns the number of files that differ."""
    only_compare = "--check" in sys.argv[1:]
    stale = 0
    for path, wanted in generated():
        present = path.read_text(encoding="utf-8") if path.exists() else ""
        if present == wanted:
            continue
        stale += 1
        shown = path.relative_to(ROOT)
        if only_compare:
            lines = difflib.unified_diff(
                present.splitlines(), wanted.splitlines(), str(shown), "generated", n=1, lineterm=""
            )
            print("\n".join(list(lines)[:20]))
            print(f"{shown} is stale; run `make generate`\n")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted, encoding="utf-8")
            print(f"wrote {shown}")
    return stale if only_compare else 0


if __name__ == "__main__":
    sys.exit(main())
