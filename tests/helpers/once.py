"""What takes long to make and several tests look at: made once in a session, whichever process comes first."""

from __future__ import annotations

import fcntl
import os
import shutil


def once(tmp_path_factory, name, make):
    """The session's folder `name`, filled by ``make(folder)``; others wait until it is whole, and only read it."""
    home = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        home = home.parent  # each process has its own folder in that of the session
    folder, done = home / f"once-{name}", home / f"once-{name}.done"
    with open(home / f"once-{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)  # what an attempt that failed has left
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
