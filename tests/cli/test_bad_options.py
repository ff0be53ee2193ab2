"""Mistakes in options: one line that says what was given and what was expected, exit code 2."""

import pytest

from cli.calling import PREFIX, CommandLine

MISTAKES = {
    "run --presett quick": "option --presett given to run; did you mean '--preset'? choices: --",
    "--bogus": "option --bogus given to synapse-audit; choices: --version, --help",
    "check run --polici p.toml": "did you mean '--policy'? choices: --policy, --baseline,",
    "run --seed x": "--seed 'x' given; expected a whole number",
    "run --seed=1.5": "--seed '1.5' given; expected a whole number",
    "run --time-budget soon": "--time-budget 'soon' given; expected a number",
    "run --batch-size": "--batch-size given without a value; expected one after it",
    "run --exact=3": "--exact given with a value; expected --exact alone",
    "check": "RUN is missing; expected synapse-audit check RUN and options",
    "run a b c": "more than expected given: b c; expected synapse-audit run [MODEL] and options",
    "rnu": "command 'rnu' given; did you mean 'run'? choices: run, report,",
    "run --preset quik": "preset 'quik' given; did you mean 'quick'? choices: quick, standard",
    "run --engine rai": "engine 'rai' given; did you mean 'ray'? choices: local, ray",
}


@pytest.mark.parametrize("given", MISTAKES)
def test_a_mistake_is_one_line(cli: CommandLine, given: str) -> None:
    called = cli(*given.split())
    assert called.code == 2
    assert called.stdout == ""
    (line,) = called.stderr.splitlines()
    assert line.startswith(PREFIX)
    assert MISTAKES[given] in line


@pytest.mark.parametrize("given", ["--version", "run --help", "config --preset quick"])
def test_what_is_right_still_ends_with_0(cli: CommandLine, given: str) -> None:
    called = cli(*given.split())
    assert called.code == 0
    assert called.stderr == "" and called.stdout
