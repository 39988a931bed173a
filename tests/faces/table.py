"""The whole scenario table."""

from tests.faces import browser_scenarios, claim_scenarios, path_scenarios, scenarios

ROWS = [
    *scenarios.ROWS,
    *path_scenarios.ROWS,
    *browser_scenarios.ROWS,
    *claim_scenarios.ROWS,
]
