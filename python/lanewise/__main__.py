"""`python -m lanewise info`, `demo` and `check`."""

import sys

from ._cli import main

sys.exit(main())
