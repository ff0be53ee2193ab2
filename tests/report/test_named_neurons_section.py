"""What the section on chosen neurons says."""

from dataclasses import replace

from synapse_audit.report import SECTIONS, render

from .fakes import FakeResult, make_result


def test_the_answer_names_the_set_its_cost_and_the_random_one(full: FakeResult) -> None:
    section = SECTIONS["given"](full)
    said = " ".join(section.answer)
    assert "With 2 chosen neurons (4:block_output:5,77) silenced by mean, accuracy falls" in said
    assert "falls by 0.011 (0.001 to 0.021) and 0.031 of the predictions change" in said
    assert "accuracy on average falls by 0.001 (5 draws: 0.000 to 0.002)" in said
    assert "loses most recall: 0.040; with random neurons its recall falls by 0.001" in said
    assert [group.figures[0].title for group in section.groups] == [
        "block_output, layer 4",
        "mlp_activation, layer 3",
    ]
    assert len(section.tables[0].rows) == 4


def test_without_named_neurons_it_says_how_to_name_some() -> None:
    assert "--neurons" in SECTIONS["given"](FakeResult()).answer[0]


def test_addresses_are_escaped() -> None:
    result = make_result()
    tables = result.findings["given"]
    nasty = {
        name: table.assign(neurons="<script>alert(1)</script>") for name, table in tables.items()
    }
    page = render(replace(result, findings={**result.findings, "given": nasty}))
    assert "<script>alert(1)" not in page
