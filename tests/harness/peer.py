"""Real components from Debian's packages, each in a root of its own (tests/peer): run from there, never installed."""

import os
import pathlib
import subprocess

from . import places


class Peer:
    """One root. `command()` is what to give subprocess.Popen; the caller ends what it starts."""

    def __init__(self, name):
        made = subprocess.run([places.SOURCE / 'tests' / 'peer', name], check=True, text=True,
                              stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=300)
        self.root = pathlib.Path(made.stdout.strip())
        self.loader = next(self.root.glob('lib/*-linux-gnu*/ld-linux-*.so.*'))
        self.libraries = [d for pattern in ('lib/*-linux-gnu*', 'usr/lib/*-linux-gnu*')
                          for d in self.root.glob(pattern)]

    def command(self, program, *args, libraries=()):
        """By the root's own loader: sees the machine's files, may be run by anyone. `libraries`: more directories
        of the root, "usr/lib/dovecot"."""
        path = ':'.join(str(d) for d in [*self.libraries, *(self.root / d for d in libraries)])
        return [str(self.loader), '--library-path', path, '--argv0', program,
                str(self.root / program.lstrip('/')), *map(str, args)]

    def inside(self, program, *args):
        """By chroot, for programs that start others by name; needs root. Sees only what is in the root: give it
        files in `self.root / 'tmp'`."""
        assert os.geteuid() == 0, 'chroot needs root'
        return ['chroot', str(self.root), program, *map(str, args)]
