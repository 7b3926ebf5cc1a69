"""Every test of the contract that asks for a `case` is run with each method and each variant."""

import pytest
from contract.cases import CASES, Case


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param
