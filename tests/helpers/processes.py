"""What programs that tests start in processes of their own need: the repository's root, and their environment."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = str(Path(__file__).parents[2])
ENVIRONMENT = {**os.environ, "PYTHONPATH": ROOT, "PYTHONWARNINGS": "ignore"}
