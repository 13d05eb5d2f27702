"""The CEL library without its command line.

Its package imports its command line, and with it a library for terminals: 117 modules and a twentieth of the CPU with
which the API starts. Nothing here uses them, so an empty module takes the command line's place during the import.
"""

from __future__ import annotations

import sys
from types import ModuleType

_COMMAND_LINE = "cel.cli"

if "cel" in sys.modules:
    import cel as cel
else:
    sys.modules[_COMMAND_LINE] = ModuleType(_COMMAND_LINE)
    try:
        import cel as cel
    finally:
        del sys.modules[_COMMAND_LINE]  # whoever wants the command line can still import it
