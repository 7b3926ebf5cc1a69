"""Every test of the contract that asks for a `case` is run with each method and each variant."""

import pytest
from _pytest.mark import ParameterSet
from contract.cases import CASES, Case

from mixnn import METHODS


def slow_where_a_variant(case: Case) -> ParameterSet:
    """Every method is tried each time, and every way with unlabeled samples; other variants with -m slow."""
    variant = case.name not in METHODS and not case.unlabeled and case.name != "example"
    return pytest.param(case, id=case.name, marks=[pytest.mark.slow] if variant else [])


@pytest.fixture(params=map(slow_where_a_variant, CASES))
def case(request: pytest.FixtureRequest) -> Case:
    return request.param
