"""Masks and merges beside Keras: the graphs of `graph_cases`, three epochs from the same weights."""

import numpy as np
import pytest

import lanewise.keras
from graph_cases import CASES, outcome

keras = pytest.importorskip("keras")

pytestmark = pytest.mark.filterwarnings("ignore")  # Keras's own


@pytest.mark.parametrize("name", CASES)
def test_predictions_and_losses_are_those_of_keras(name: str) -> None:
    found, wanted = outcome(lanewise.keras, name), outcome(keras, name)
    for key in wanted:
        np.testing.assert_allclose(found[key], wanted[key], rtol=2e-5, atol=2e-6, err_msg=key)
