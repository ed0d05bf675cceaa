"""SIGTERM, SIGINT, SIGHUP: the first asks the loop to end in order, the second ends the process at once."""

from __future__ import annotations

import os
import signal

from correlator.cli.exit_codes import INTERRUPTED


class Stopping:
    """Truth of "somebody asked us to stop". Cheap to import: it is installed before anything slow begins."""

    def __init__(self) -> None:
        self.is_asked = False

    def install(self) -> None:
        for name in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(name) != signal.SIG_IGN or name != signal.SIGHUP:  # nohup
                signal.signal(name, self._ask)

    def _ask(self, _signal: int, _frame: object) -> None:
        if self.is_asked:
            os._exit(INTERRUPTED)
        self.is_asked = True


STOPPING = Stopping()  # of this process: signals are
