"""Start a program that ends with its parent process. This is run as a script, never imported.

`python -I -S parent_guard.py --parent PID --signal N [--user UID] [--reach] -- PROGRAM ARGUMENT…`

The alternative, `preexec_fn`, runs Python between fork and exec of a process that may have threads, which is unsafe.
This process replaces itself with the program, so nothing else stays in memory.

--parent  end at once if that process has already ended
--signal  the signal that the kernel sends the program when its parent dies for any reason (Linux; ignored elsewhere)
--user    first change from root to this user and group id
--reach   keep one of root's capabilities, to pass through closed folders (Linux): a checkout under the 0700 home of
          root then works, and the home stays closed
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 4
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2
CAPABILITY_VERSION_3 = 0x20080522


def permitted() -> int:
    """The bits of this process's permitted capabilities."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("CapPrm:"):
                return int(line.split()[1], 16)
    return 0


def main() -> None:
    arguments = sys.argv[1:]
    separator = arguments.index("--")
    options, command = arguments[:separator], arguments[separator + 1 :]
    value = {name: options[options.index(name) + 1] for name in ("--parent", "--signal", "--user") if name in options}
    linux = sys.platform == "linux"
    libc = ctypes.CDLL(None, use_errno=True) if linux else None

    capability = 0
    if libc and "--reach" in options:
        bits = permitted()
        # The read capability is enough, but containers commonly have only the wider one.
        capability = next((c for c in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if bits >> c & 1), 0)
        if capability:
            libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
            # Without this, access(2), which initdb calls before it opens files, ignores the kept capability.
            libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    if "--user" in value:
        user = int(value["--user"])
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        os.chdir("/")  # the current folder may be closed to that user
    if libc and capability:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        low = 1 << capability
        data = (ctypes.c_uint32 * 6)(low, low, low, 0, 0, 0)  # effective, permitted, inheritable
        libc.capset(header, data)
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    if libc:
        # This must come last: a change of user clears it.
        libc.prctl(PR_SET_PDEATHSIG, int(value["--signal"]), 0, 0, 0)
    if os.getppid() != int(value["--parent"]):
        os._exit(1)
    try:
        os.execv(command[0], command)
    except OSError as problem:
        sys.stderr.write(f"cannot run {command[0]}: {problem.strerror}\n")
        os._exit(127)


main()
