"""Random chains of three to six operators that change between opsets, from opsets 7 to 20."""

import os

import pytest

import upgrade_cases as cases
import upgrade_chains as chains

FIRST = int(os.environ.get("NIBBLE_SEED", "1"))
COUNT = int(os.environ.get("NIBBLE_CHAINS", "400"))
GROUPS = 20


@pytest.mark.parametrize("group", range(GROUPS))
def test_chains(group, tmp_path):
    for seed in range(FIRST + group, FIRST + COUNT, GROUPS):
        _, model, feeds = chains.build(seed)
        targets = (cases.TARGETS[seed % 3], cases.TARGETS[3])
        try:
            cases.check(model, feeds, tmp_path, targets, 1e-5)
        except Exception:
            print("seed", seed)
            raise
