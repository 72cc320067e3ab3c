"""`python -m lanewise info` and `python -m lanewise demo`."""

import sys

from ._cli import main

sys.exit(main())
