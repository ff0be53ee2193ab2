"""The report as Markdown: for a model card, a pull request, a wiki.

In: the contents of a report. Out: text without figures; each figure's description stands in its
place. Names from the data are escaped, so that they neither format nor link anything; comparisons,
checks and model cards write theirs with the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from synapse_audit.report.kit.contents import Chapter, Contents, Cover, Section, Table
from synapse_audit.report.kit.prose import plain

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!&]|:(?=//)|(?<=www)\.)", re.IGNORECASE)
"""What formats, links or opens a cell, addresses that are linked as they stand among it."""
LONGEST = 20
"""Rows of a table shown; the run folder and the CSV files of the page have all."""


def as_markdown(contents: Contents) -> str:
    """GitHub-flavoured Markdown with one heading per chapter and section."""
    lines = [f"# {escaped(contents.title)}", "", *_cover(contents.cover)]
    for chapter in contents.chapters.values():
        lines += _chapter(chapter)
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: object) -> str:
    r"""Text that Markdown shows as it is, on one line.

    >>> escaped("a_b|<i>"), escaped("http://b.c")
    ('a\\_b\\|\\<i\\>', 'http\\://b.c')
    """
    return SPECIAL.sub(r"\\\1", plain(" ".join(str(text).split("\n"))))


def code(text: object, *, cell: bool = False) -> str:
    """Text as code, whatever backticks it holds; those of a table's ``cell`` escape its bars.

    >>> code("a"), code("a`b")
    ('`a`', '``a`b``')
    """
    shown = plain(text)
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    room = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{room}{shown.replace('|', chr(92) + '|') if cell else shown}{room}{fence}"


def _cover(cover: Cover) -> Iterator[str]:
    yield from (" · ".join(map(escaped, cover.facts)), "", f"**{escaped(cover.verdict)}**", "")
    if cover.rows:
        rows = [(row.question, row.answer, row.figure, row.evidence) for row in cover.rows]
        yield from _grid(("Question", "Answer", "Figure", "Evidence"), rows)
    if cover.steps:
        yield from ("**Next steps**", "")
    for step in cover.steps:
        command = f" {code(step.command)}" if step.command else ""
        yield f"- {escaped(step.text)}{command}"
    yield ""


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield from (f"## {escaped(chapter.title)}", "")
    for section in chapter.sections.values():
        yield from _section(section)
    for one in chapter.missing:
        why = f": {escaped(one.why)}" if one.why else ""
        command = f" To add it: {code(one.command)}" if one.command else ""
        yield f"- Not in this run: {escaped(one.label)}{why}.{command}"
    yield ""


def _section(section: Section) -> Iterator[str]:
    yield from (f"### {escaped(section.heading)}", "")
    for sentence in section.answer:
        yield from (escaped(sentence), "")
    for figure in (figure for group in section.groups for figure in group.figures):
        yield from (f"*Figure: {escaped(figure.title)}. {escaped(figure.alt)}*", "")
    for table in section.tables:
        yield from _table(table)
    for title, texts in (("How to read this", section.reading), ("Limits", section.limits)):
        if texts:
            yield from (f"**{title}.** {' '.join(map(escaped, texts))}", "")


def _table(table: Table) -> Iterator[str]:
    cut = f" (first {LONGEST} of {len(table.rows)} rows)" if len(table.rows) > LONGEST else ""
    yield from (f"**{escaped(table.title)}**{cut}", "")
    yield from _grid(table.columns, table.rows[:LONGEST])


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(escaped, columns))} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(map(escaped, row))} |"
    yield ""
