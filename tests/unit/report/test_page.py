"""The page shell: self-contained, escaped, the same every time."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from fairlead.report import Badge, Code, Facts, Figure, Histogram, Measured, Note, Section, Table, Text, page
from fairlead.report.charts import canvas, to_png, to_svg

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="1" height="1"/></svg>'
EVERYTHING = [
    Section(
        "All blocks",
        "One of each.",
        [
            Facts({"rows": 12345, "area": Measured(0.91, 0.9, 0.92)}),
            Table(
                ("name", "count", "outcome"),
                [("a", 1, Badge("passed", "good")), (Code("b"), None, "")],
                "A table",
            ),
            Table(("shape",), [(Histogram([1, 2], "from 0 to 2"),)]),
            Figure(SVG, "A square.", "one square"),
            Note("Look here.", "warn", "Careful"),
            Text("First.\n\nSecond."),
        ],
    ),
    Section("Second"),
    Section("Second"),
]


class Elements(HTMLParser):
    """Names, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag, f"</{tag}> closes nothing"


def rendered() -> str:
    return page("A title", "A subtitle", EVERYTHING)


def test_every_element_is_closed() -> None:
    assert Elements(rendered()).open == []


def test_no_scripts() -> None:
    assert "script" not in {tag for tag, _ in Elements(rendered()).tags}


def test_nothing_is_fetched_from_anywhere() -> None:
    links = [
        value
        for _, attributes in Elements(rendered()).tags
        for name, value in attributes.items()
        if name in {"src", "href"} and value
    ]
    assert links
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "url(" not in rendered()
    assert "@import" not in rendered()


def test_same_arguments_give_the_same_bytes() -> None:
    assert rendered() == rendered()


def test_the_list_of_sections_leads_to_each_section() -> None:
    tags = Elements(rendered()).tags
    targets = [attributes["href"] for tag, attributes in tags if tag == "a"]
    places = [f"#{attributes['id']}" for tag, attributes in tags if tag == "section"]
    assert targets == places == ["#all-blocks", "#second", "#second-2"]


@pytest.mark.parametrize(
    "block",
    [
        Text("<b>bold</b>"),
        Note("<b>bold</b>", "bad", "<b>bold</b>"),
        Facts({"<b>bold</b>": "<b>bold</b>"}),
        Table(("<b>bold</b>",), [("<b>bold</b>",)], "<b>bold</b>"),
        Table(("x",), [(Badge("<b>bold</b>"),), (Code("<b>bold</b>"),), (Histogram([1], '"><b>bold</b>'),)]),
        Figure(SVG, "<b>bold</b>", '"><b>bold</b>'),
    ],
    ids=["text", "note", "facts", "table", "cells", "figure"],
)
def test_markup_in_text_is_shown_and_not_obeyed(block: Text) -> None:
    html = page("<b>bold</b>", "<b>bold</b>", [Section("<b>bold</b>", "<b>bold</b>", [block])])
    assert "<b>" not in html


def test_a_picture_is_inside_the_page_with_its_description() -> None:
    [image] = [attributes for tag, attributes in Elements(rendered()).tags if tag == "img"]
    assert image["src"].startswith("data:image/svg+xml;base64,")
    assert image["alt"] == "one square"


def test_png_is_told_by_its_bytes() -> None:
    assert Figure(to_png(canvas(1, 1)[0]), "", "", "dot").filename == "dot.png"


def test_figures_can_stand_beside_the_other_blocks() -> None:
    html = page("t", "", [Section("s", "", [Text("left"), Figure(SVG, "right", "")], beside=True)])
    assert html.count('class="stack"') == 2
    assert html.index("left") < html.index("right")


def test_numbers_are_aligned_right_and_words_left() -> None:
    table = Table(("name", "count", "share"), [("a", 1, Measured(0.5, 0.4, 0.6)), ("b", None, None)])
    assert table.alignments == ("left", "right", "right")


def test_a_table_without_rows_says_so() -> None:
    assert "No slices." in page("t", "", [Section("s", "", [Table(("a",), [], empty="No slices.")])])


def test_a_row_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row has 1 cells, the table 2 columns"):
        Table(("a", "b"), [("x",)])


def drawn() -> str:
    figure, axes = canvas()
    axes.plot([0, 1], [1, 0], label="line")
    axes.set_xlabel("a < b")
    return to_svg(figure)


def test_svg_is_the_same_every_time() -> None:
    assert drawn() == drawn()


def test_svg_has_no_date_and_no_foreign_address_but_namespaces() -> None:
    assert "dc:date" not in drawn()
    addresses = set(re.findall(r'="(https?://[^"]+)"', drawn()))
    assert all("w3.org" in found or "purl.org" in found or "creativecommons" in found for found in addresses)


def test_svg_follows_the_readers_preference_for_dark() -> None:
    assert "prefers-color-scheme: dark" in drawn()


def test_drawing_leaves_matplotlibs_settings_alone() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    drawn()
    assert dict(mpl.rcParams) == before
