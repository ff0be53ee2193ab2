"""What the proofs share: a way to tell numbers, and the bundled classifier made ready."""

from collections.abc import Callable

import pytest

from .bundled import Ready, make_ready


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a line that is seen although the proof passes."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="")

    return say


@pytest.fixture(scope="session")
def ready() -> Ready:
    """The bundled classifier with statistics and rankings; leave it as you found it."""
    return make_ready()
