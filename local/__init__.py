"""The local world: two emulated AWS regions and the API in one process, with what an emulator lacks added."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The checkout: where template.yaml, functions/ and layers/ are."""

# Lambda puts a layer's python/ folder on the path; here the layer is a folder of the checkout.
_LAYER = str(ROOT / "layers" / "nearside")
if _LAYER not in sys.path:
    sys.path.insert(0, _LAYER)


class CommandFailed(Exception):
    """What went wrong, in words for the person at the terminal."""
