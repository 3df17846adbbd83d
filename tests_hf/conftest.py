"""The common tests of `transformers` on our classes: `make test-hf`."""

import sys

from fetch import fetch

_SOURCE = fetch()
sys.path[:0] = [str(_SOURCE), str(_SOURCE / "utils")]
