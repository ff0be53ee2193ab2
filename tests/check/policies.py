"""A policy with every kind of answer, and the figures that it asks for."""

from pathlib import Path

from synapse_audit.summary import Figure

FIGURES = {
    "redundancy": {
        "plateau": Figure(0.25, 0.1, 0.3),
        "half_point": Figure(0.5, 0.4, 0.6),
        "disjoint_sets": Figure(10.0),
    },
    "sites": Figure.unknown("no site besides the block output was swept"),
    "asymmetry": {"gap": Figure(0.2, 0.1, 0.3), "most_fragile": Figure.unknown("one class")},
    "vulnerability": {"d.e f": {"redirect": {"0.1": Figure(0.02, 0.01, 0.04, n=400)}}},
    "silenced": {"recall": {"rare": {"0.1": Figure(0.8, 0.6, 0.9, n=40)}}},
}

POLICY = """on_not_shown = "warn"
[[rule]]
figure = "redundancy.plateau"
at_least = 0.1
[[rule]]
figure = 'vulnerability."d.e f".redirect."0.1"'
at_most = 0.005
[[rule]]
figure = "silenced.recall.rare.'0.1'"
at_least = 0.7
[[rule]]
name = "sites | <b>, 100 %: all"
figure = "sites.mlp_output.largest_drop"
at_most = 0.1
on_not_shown = "fail"
[[rule]]
figure = "clean.accuracy"
at_least = 0.5
tests = true
"""
VERDICTS = ["supported", "contradicted", "not shown", "not shown", "not shown"]


def policy_of(folder: Path, text: str = POLICY) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def rule(figure: str, **bounds: float) -> str:
    lines = [f"{name} = {value}" for name, value in bounds.items()]
    return "\n".join(["[[rule]]", f"figure = '''{figure}'''", *lines, ""])
