"""Makes the packages of the trainer's folder importable, wherever pytest is started from."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "gpu-service/training/trainer"))
