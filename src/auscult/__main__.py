"""`python -m auscult` is `auscult`."""

import sys

from auscult.cli import main

sys.exit(main())
