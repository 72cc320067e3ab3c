"""`keras.optimizers.legacy`: the module `lanewise.optimizers.legacy` itself."""

import sys

from ...optimizers import legacy

sys.modules[__name__] = legacy
