"""The report as one HTML file.

In: the contents of a report. Out: HTML with styles, Plotly and data inlined. The page's own
content security policy forbids the network, event attributes and any script other than those it
carries (by hash), so even text that escaped its escaping could not run.

Plotly is its own smaller bundle for Cartesian charts, which holds every kind of trace used here;
``vendor/`` has it with its licence, unchanged. The page carries it packed and unpacks it itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from synapse_audit.report.kit.contents import Contents
from synapse_audit.report.kit.glossary import TERMS, anchor, linker

DASHES = {
    "solid": "",
    "dot": "2 4",
    "dash": "7 4",
    "longdash": "11 4",
    "dashdot": "7 3 2 3",
    "longdashdot": "11 3 2 3",
}
"""Plotly's dash names as SVG dash arrays, for the legends."""
SYMBOLS = {
    "circle": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
    "square": "M-3.5,-3.5h7v7h-7z",
    "diamond": "M0,-5L5,0L0,5L-5,0z",
    "triangle-up": "M0,-5L5,4H-5z",
    "triangle-down": "M0,5L5,-4H-5z",
    "cross": "M-1.6,-5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4z",
    "x": "M-5,-3L-3,-5L0,-2L3,-5L5,-3L2,0L5,3L3,5L0,2L-3,5L-5,3L-2,0z",
    "star": "M0,-6L1.7,-1.8L6,-1.8L2.6,1L3.8,5.4L0,2.8L-3.8,5.4L-2.6,1L-6,-1.8L-1.7,-1.8z",
}
"""Marker shapes as SVG paths around (0, 0)."""


SCRIPTS = ("inflate.js", "figures.js", "tables.js", "reading.js")
"""Scripts of the page besides Plotly, in order."""


def as_html(contents: Contents) -> str:
    """The page; keys of chapters and sections become anchors."""
    plotly = _source("plotly-cartesian.min.js", "vendor")
    scripts = tuple(_source(name) for name in SCRIPTS)
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=contents.title,
            cover=contents.cover,
            chapters=contents.chapters,
            anchors={name for chapter in contents.chapters.values() for name in chapter.sections},
            terms={anchor(term): (term, said) for term, said in sorted(TERMS.items())},
            style=Markup(_source("style.css")),
            plotly=Markup(pack(plotly)),
            size=len(plotly.encode()),
            scripts=[Markup(script) for script in scripts],
            policy=_policy((plotly, *scripts)),
        )
    )


def pack(script: str) -> str:
    """A script as raw deflate in base64, which ``inflate.js`` unpacks."""
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return base64.b64encode(packer.compress(script.encode()) + packer.flush()).decode()


def embed(value: Any) -> Markup:
    """JSON for a script element: no character of it can end the element or open another.

    >>> embed({"name": "</script>"})
    Markup('{"name":"\\\\u003c/script\\\\u003e"}')
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("synapse_audit.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["embed"] = embed
    environment.filters["css_color"] = _css_color
    environment.globals.update(dashes=DASHES, symbols=SYMBOLS, linker=linker)
    return environment


def _source(name: str, folder: str = "templates") -> str:
    """A static file as it is."""
    found = resources.files("synapse_audit.report") / folder / name
    return found.read_text(encoding="utf-8")


def _css_color(token: str) -> str:
    return f"var(--c-{token.removeprefix('@')})"


def _policy(scripts: tuple[str, ...]) -> str:
    """Content security policy: nothing from outside, no script but these."""
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "font-src data:; base-uri 'none'; form-action 'none'"
    )


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
