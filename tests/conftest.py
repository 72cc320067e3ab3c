"""Fixtures that all tests share."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from bounds import ISAS, running


def pytest_configure() -> None:
    """Ctrl-C works in every test: a shell starts what runs in its background with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def switches_stay_as_they_were() -> Iterator[None]:
    """No test leaves another ISA or number of threads behind."""
    with running():
        yield


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each ISA that this CPU has, active."""
    with running(request.param):
        yield request.param


@pytest.fixture(params=[1, 2, 7])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """1, 2 and 7 threads, set."""
    with running(threads=request.param):
        yield request.param


@pytest.fixture(scope="session")
def cancer() -> tuple[Any, Any]:
    """Rows and two classes of scikit-learn's table, scaled."""
    x, y = pytest.importorskip("sklearn.datasets").load_breast_cancer(return_X_y=True)
    return (x - x.mean(axis=0)) / x.std(axis=0), y


@pytest.fixture(scope="session")
def digits() -> tuple[Any, Any]:
    """600 pictures of ten digits as rows."""
    x, y = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    return x[:600] / 16.0, y[:600]


@pytest.fixture(scope="session")
def diabetes() -> tuple[Any, Any]:
    """Rows and a number each, scaled."""
    x, y = pytest.importorskip("sklearn.datasets").load_diabetes(return_X_y=True)
    return (x - x.mean(axis=0)) / x.std(axis=0), (y - y.mean()) / y.std()
