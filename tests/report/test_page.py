"""The page as a whole: complete, self-contained, balanced, and deaf to hostile names."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from synapse_audit.report import FORMATS, SECTIONS, render
from synapse_audit.report.kit.chapters import CHAPTERS
from synapse_audit.report.kit.contents import Contents, Result, Section
from synapse_audit.report.kit.page import embed, pack
from synapse_audit.tables import TABLES

from .fakes import FakeResult, make_result

VOID = {"meta", "link", "br", "hr", "img", "input"}
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "<b>&amp;</b>",
    "norm\u202e\x00",
    "<a href='javascript:alert(3)'>x</a>",
)


class Page(HTMLParser):
    """Tags, attributes and script contents of a page; fails on tags that do not balance."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.tags[-1][1], data))
        elif self.open and self.open[-1] != "style":
            self.text.append(data)

    def having(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def specs_of(page: Page) -> list[str]:
    return [t for a, t in page.scripts if a.get("type") == "application/json" and "class" not in a]


@pytest.fixture(scope="module")
def source(found: Contents) -> str:
    return FORMATS["html"](found)


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_fake_reads_like_a_result(full: FakeResult) -> None:
    assert isinstance(full, Result)


def test_every_section_has_its_heading_and_its_link(
    built: Mapping[str, Section], page: Page
) -> None:
    links = {attributes["href"] for attributes in page.having("a")}
    for name, section in built.items():
        assert section.heading in page.text
        assert f"#{name}" in links
    assert {f"#{key}" for key in CHAPTERS} <= links
    assert len(page.having("section")) == 2 + len(CHAPTERS) + len(SECTIONS)


def test_every_link_of_the_page_leads_somewhere(page: Page) -> None:
    anchors = {attributes.get("id") for _, attributes in page.tags}
    links = {attributes["href"] for attributes in page.having("a")}
    assert len(links) > len(SECTIONS)
    assert {str(link).removeprefix("#") for link in links} <= anchors


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
    assert not page.having("link")
    policy = page.having("meta")[1]["content"] or ""
    assert "default-src 'none'" in policy
    assert "script-src 'sha256-" in policy


def bundle_of(page: Page) -> str:
    """Plotly, as the page unpacks it."""
    packed = next(text for a, text in page.scripts if a.get("id") == "plotly")
    return zlib.decompress(base64.b64decode(packed), wbits=-15).decode()


def test_plotly_is_packed_with_its_size(page: Page) -> None:
    (given,) = [a for a, _ in page.scripts if a.get("id") == "plotly"]
    assert given["data-size"] == str(len(bundle_of(page).encode()))
    assert (
        zlib.decompress(base64.b64decode(pack("aé</script>")), wbits=-15).decode() == "aé</script>"
    )


def test_policy_names_exactly_the_scripts_of_the_page(page: Page) -> None:
    policy = page.having("meta")[1]["content"] or ""
    # Plotly lies in the page as text and becomes a script when a first figure is near.
    run = [bundle_of(page)] + [text for a, text in page.scripts if "type" not in a]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in run]
    assert re.findall(r"'sha256-([^']+)'", policy) == digests


def test_style_fetches_nothing(source: str) -> None:
    style = source.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_every_figure_has_a_description_and_a_specification(page: Page) -> None:
    plots = [a for a in page.having("div") if a.get("class") == "plot"]
    specs = specs_of(page)
    assert len(plots) == len(specs) == len(page.having("figure")) > 20
    for plot, spec in zip(plots, specs, strict=True):
        assert plot["role"] == "img"
        assert len(plot["aria-label"] or "") > 20
        assert set(json.loads(spec)) == {"data", "layout"}


def test_every_colour_token_is_defined_in_both_schemes(source: str, page: Page) -> None:
    style = source.split("<style>")[1].split("</style>")[0]
    light, dark = style.split("prefers-color-scheme: dark")
    specs = " ".join(specs_of(page))
    tokens = set(re.findall(r'"@([a-z0-9-]+)"', specs))
    tokens |= set(re.findall(r'style="color:var\(--c-([a-z0-9-]+)\)', source))
    assert len(tokens) > 10
    for token in tokens:
        assert f"--c-{token}:" in light
        assert f"--c-{token}:" in dark


def test_size_stays_within_reason(source: str) -> None:
    assert len(source.encode()) < 2.5e6


@pytest.fixture(scope="module")
def hostile() -> Page:
    """Of a run whose names would break out of a page that let them."""
    result = make_result(HOSTILE)
    summary = {**result.summary, "model": HOSTILE[1]}
    manifest = {**result.manifest, HOSTILE[0]: {"<i>": HOSTILE[1]}}
    return Page(render(replace(result, summary=summary, manifest=manifest)))


def test_hostile_names_stay_text(hostile: Page) -> None:
    assert not hostile.having("img")
    assert not hostile.having("b")
    assert not hostile.having("i")
    assert not any(name.startswith("on") for _, attributes in hostile.tags for name in attributes)
    shown = "".join(hostile.text)
    assert HOSTILE[0] in shown
    assert "\u202e" not in shown
    assert "\x00" not in shown


def test_hostile_names_in_figures_are_entities(hostile: Page) -> None:
    for attributes, text in hostile.scripts:
        if attributes.get("type") == "application/json":
            assert not {"<", ">", "&"} & set(text)
    for text in specs_of(hostile):
        for line in _strings(json.loads(text)):
            bare = line.replace("<extra>", "").replace("</extra>", "")
            assert not {"<", ">"} & set(bare)


def test_embedded_json_cannot_end_its_element() -> None:
    value = {"a": "</script><!--", "b": "\u2028&"}
    text = str(embed(value))
    assert not {"<", ">", "&", "\u2028"} & set(text)
    assert json.loads(text) == value


def test_embedding_refuses_what_json_lacks() -> None:
    with pytest.raises(ValueError, match="JSON"):
        embed({"a": float("nan")})


def test_an_empty_run_renders() -> None:
    page = Page(render(FakeResult()))
    assert not page.having("figure")
    shown = " ".join(page.text)
    assert len(page.having("section")) == 2 + len(CHAPTERS), "only what ran is a section"
    for build in SECTIONS.values():
        assert build(FakeResult()).label in shown
    assert "nan" not in shown.lower().split()


def test_every_kind_of_trace_is_in_the_bundle(page: Page) -> None:
    bundle = bundle_of(page)
    kinds = {trace["type"] for spec in specs_of(page) for trace in json.loads(spec)["data"]}
    assert kinds == {"scatter", "heatmap"}
    assert all(f'moduleType:"trace",name:"{kind}"' in bundle for kind in kinds)


def test_tables_are_there_as_csv_and_where_their_rows_come_from(
    full: FakeResult, built: Mapping[str, Section], page: Page
) -> None:
    tables = [table for section in built.values() for table in section.tables]
    embedded = [json.loads(text) for a, text in page.scripts if a.get("class") == "csv"]
    assert embedded == [table.csv for table in tables]
    assert all(table.csv.count("\n") == 1 + len(table.rows) for table in tables)
    sources = {table.source for table in tables if table.source}
    assert len(sources) > 20
    shown = "".join(page.text)
    for source in sources:
        finding, name = TABLES[source.removesuffix(".parquet")].key
        assert name in full.findings[finding] if finding else hasattr(full, name)
        assert f'pandas.read_parquet("{source}")' in shown


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for part in parts for text in _strings(part)]
