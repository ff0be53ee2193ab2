"""The report as Markdown: for a model card, a pull request, a wiki.

In: the contents of a report. Out: text without figures; each figure's description stands in its
place. Names from the data are escaped, so that they neither format nor link anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from synapse_audit.report.kit.contents import Chapter, Contents, Cover, Section, Table

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!])")
LONGEST = 20
"""Rows of a table shown; the run folder and the CSV files of the page have all."""


def as_markdown(contents: Contents) -> str:
    """GitHub-flavoured Markdown with one heading per chapter and section."""
    lines = [f"# {escaped(contents.title)}", "", *_cover(contents.cover)]
    for chapter in contents.chapters.values():
        lines += _chapter(chapter)
    return "\n".join(lines).rstrip() + "\n"


def escaped(text: str) -> str:
    r"""Text that Markdown shows as it is.

    >>> escaped("a_b|<i>")
    'a\\_b\\|\\<i\\>'
    """
    return SPECIAL.sub(r"\\\1", text.replace("\n", " "))


def _cover(cover: Cover) -> Iterator[str]:
    yield from (" · ".join(map(escaped, cover.facts)), "", f"**{escaped(cover.verdict)}**", "")
    if cover.rows:
        rows = [(row.question, row.answer, row.figure, row.evidence) for row in cover.rows]
        yield from _grid(("Question", "Answer", "Figure", "Evidence"), rows)
    if cover.steps:
        yield from ("**Next steps**", "")
    for step in cover.steps:
        command = f" `{step.command}`" if step.command else ""
        yield f"- {escaped(step.text)}{command}"
    yield ""


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield from (f"## {escaped(chapter.title)}", "")
    for section in chapter.sections.values():
        yield from _section(section)
    for one in chapter.missing:
        why = f": {escaped(one.why)}" if one.why else ""
        command = f" To add it: `{one.command}`" if one.command else ""
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
