"""Become another program that cannot outlive the process that started it. Run as a script, never imported.

`python -I -S parent_guard.py --parent PID --signal N [--user UID] [--reach] -- PROGRAM ARGUMENT…`

It exists because the alternatives are worse: `preexec_fn` runs Python between fork and exec of a process that
may hold threads. Nothing stays resident: this process *becomes* the program.

--parent  end at once if that process is gone already
--signal  what the kernel sends the program when its parent dies, however it dies (Linux; elsewhere ignored)
--user    give up root for this user and group id first
--reach   keep, of all of root's powers, the one to pass through closed folders (Linux): a checkout under the
          0700 home of root then works without opening that home to anybody
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
        # Reading is enough, but containers commonly hold only the wider power.
        capability = next((c for c in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if bits >> c & 1), 0)
        if capability:
            libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
            # Without it access(2), which initdb asks before it opens, does not count the power that is kept.
            libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    if "--user" in value:
        user = int(value["--user"])
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        os.chdir("/")  # the folder we were started in may be closed to that user
    if libc and capability:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
        low = 1 << capability
        data = (ctypes.c_uint32 * 6)(low, low, low, 0, 0, 0)  # effective, permitted, inheritable
        libc.capset(header, data)
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)
    if libc:
        # Last: a change of user clears it.
        libc.prctl(PR_SET_PDEATHSIG, int(value["--signal"]), 0, 0, 0)
    if os.getppid() != int(value["--parent"]):
        os._exit(1)
    try:
        os.execv(command[0], command)
    except OSError as problem:
        sys.stderr.write(f"cannot run {command[0]}: {problem.strerror}\n")
        os._exit(127)


main()
