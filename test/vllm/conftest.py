import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "gpu-service/verify/engines/vllm/python"))
# Small tensors: several threads would only wait for each other.
torch.set_num_threads(1)
