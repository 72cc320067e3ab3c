"""Writes hashes.json: the golden hashes of the networks that test_same_bits.py trains.

Run it after a change that is meant to change bits (design: such a release says so in CHANGELOG), and only then:

    python tests/golden/make.py
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import same_bits

PATH = Path(__file__).parent / "hashes.json"

if __name__ == "__main__":
    PATH.write_text(json.dumps({name: same_bits.run(name).hashes() for name in same_bits.CASES}, indent=2) + "\n")
