"""Suites for asv: numbers that are kept over versions. `make asv` runs them.

asv imports this folder as a package of its own, from a directory of its own, hence the path.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
