"""Policies: what is read, with which lines, and what is refused in one line."""

from pathlib import Path

import pytest

from synapse_audit.check import read_policy
from synapse_audit.errors import UsageError

GOOD = """# comment
on_not_shown = "warn"

[[rule]]
figure = "clean.accuracy"
at_least = 1

[[ rule ]]
name = '''two
[[rule]]
lines'''
figure = 'vulnerability."d.e f".redirect."0.1"'
at_most = 0.2
tests = true
on_not_shown = "fail"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_rules_are_read_with_their_lines(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, GOOD))
    first, second = policy.rules
    assert policy.lines == (4, 8)
    assert first.bound == ("at_least", 1.0)
    assert second.keys == ("vulnerability", "d.e f", "redirect", "0.1")
    assert not policy.fails_when_not_shown(first)
    assert policy.fails_when_not_shown(second)


def test_rules_written_in_one_line_all_stand_in_the_first(tmp_path: Path) -> None:
    text = 'rule = [{figure = "clean.accuracy", at_least = 0.5}]'
    assert read_policy(written(tmp_path, text)).lines == (1,)


RULE = '[[rule]]\nfigure = "clean.accuracy"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rule"),
        ("rule = 3", "holds no rule"),
        ("[[rule]", "is not TOML"),
        ("on_not_shwon = 1\n" + RULE, "did you mean 'on_not_shown'"),
        ("on_not_shown = 'pass'\n" + RULE + "at_least = 0.5", "'fail' or 'warn'|fail, warn"),
        (RULE + "at_lest = 0.5", "did you mean 'at_least'"),
        (RULE, "expected exactly one of"),
        (RULE + "at_least = 0.5\nat_most = 0.9", "at_least and at_most given"),
        (RULE + "at_least = 'high'", "at_least: Input should be a valid number"),
        (RULE + "at_least = true", "at_least: Input should be a valid number"),
        (RULE + "at_least = 1.2", "expected 0 to 1"),
        (RULE + "at_least = nan", "finite number"),
        (RULE + "max_regression = -0.1", "greater than or equal to 0"),
        (RULE + "max_regression = 1.5", "expected 0 to 1"),
        (RULE + "at_least = 0.5\ntests = 1", "tests: Input should be a valid boolean"),
        (RULE + "at_least = 0.5\n" + RULE + "at_least = 0.6", r"policy.toml:4: .* given twice"),
        ('[[rule]]\nfigure = "a..b"\nat_least = 0.5', "dotted path"),
        ("[[rule]]\nfigure = 3\nat_least = 0.5", "figure: Input should be a valid string"),
        ("[[rule]]\nat_least = 0.5", "figure: Field required"),
        ("rule = [1]", "expected a table"),
    ],
)
def test_what_is_no_policy_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        read_policy(written(tmp_path, text))
    assert "\n" not in str(refused.value)


def test_a_policy_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_policy(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not TOML"):
        read_policy(binary)
