"""`keras.optimizers.schedules`: the module `lanewise.optimizers.schedules` itself."""

import sys

from ...optimizers import schedules

sys.modules[__name__] = schedules
