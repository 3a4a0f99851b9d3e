"""A short run of the fuzz of origin_router; FUZZ_INPUTS=1000000 makes it the long one (tests/fuzz/origin_router.py)."""

import os

from tests.fuzz.origin_router import fuzzed

INPUTS = int(os.environ.get("FUZZ_INPUTS", "20000"))


def test_no_input_makes_it_raise_or_leave_the_allow_list() -> None:
    counts = fuzzed(INPUTS, seed=int(os.environ.get("FUZZ_SEED", "4")))
    assert sum(counts.values()) == INPUTS
    # Inputs that are all refused would prove nothing.
    for what in ("rerouted", "signed", "configured", "as it came", "a response that says"):
        assert counts[what] > INPUTS / 200, counts
