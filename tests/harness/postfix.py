"""postfix.py - Debian's Postfix from tests/peers on a configuration, by chroot: the oracle of tests/differential

It needs root (for chroot, and because Postfix wants it). Its directory lies inside the unpacked root, so a path in its
configuration means the same to it as to us when @DIR@ is written: `inside` is what its processes call that directory.
"""

import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess

from harness import places
from harness.places import Broken, await_true

SERVICES = """
cleanup    unix n - n - 0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - n 1000? 1 tlsmgr
rewrite    unix - - n - - trivial-rewrite
bounce     unix - - n - 0 bounce
defer      unix - - n - 0 bounce
trace      unix - - n - 0 bounce
verify     unix - - n - 1 verify
flush      unix n - n 1000? 0 flush
proxymap   unix - - n - - proxymap
smtp       unix - - n - - smtp
relay      unix - - n - - smtp
lmtp       unix - - n - - lmtp
showq      unix n - n - - showq
error      unix - - n - - error
retry      unix - - n - - error
discard    unix - - n - - discard
virtual    unix - n n - - virtual
local      unix - n n - - local
anvil      unix - - n - 1 anvil
scache     unix - - n - 1 scache
dnsblog    unix - - n - 0 dnsblog
tlsproxy   unix - - n - 0 tlsproxy
postlog    unix-dgram n - n - 1 postlogd
"""
OWN = {
    'mail_owner': 'postfix',
    'setgid_group': 'postdrop',
    'data_directory': '@DIR@/data',
    'queue_directory': '@DIR@/queue',
    'maillog_file': '@DIR@/maillog',
    'maillog_file_prefixes': '@DIR@',
    'daemon_directory': '/usr/lib/postfix/sbin',
    'command_directory': '/usr/sbin',
    'shlib_directory': '/usr/lib/postfix',
}
# Debian's own point to files outside
UNLESS_SAID = {'alias_maps': '', 'alias_database': ''}


@functools.lru_cache(maxsize=None)
def postfix_root():
    """The unpacked root, made at the first call."""
    made = subprocess.run([places.SOURCE / 'tests' / 'peers'], check=True, text=True,
                          stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=300)
    return pathlib.Path(made.stdout.strip()) / 'root'


def lacking(services, master):
    """The lines of `services` whose name and type master.cf does not have."""
    there = {tuple(line.split()[:2]) for line in master.splitlines()}
    return ''.join(line + '\n' for line in services.splitlines() if tuple(line.split()[:2]) not in there)


class Postfix:
    def __init__(self, name, main, files, master, words, head=''):
        self.root = postfix_root()
        self.inside = pathlib.Path(f'/differential/{os.getpid()}-{name}')
        self.directory = self.root / str(self.inside).lstrip('/')
        self.port = places.free_port()
        self.words = {**words, '@DIR@': str(self.inside), '@PORT@': str(self.port)}
        self.process = None
        self.place()
        for file, text in files.items():
            self.write(file, text)
        lines = ''.join(f'{k} = {v}\n' for k, v in {**UNLESS_SAID, **main, **OWN}.items() if v is not None)
        self.write('main.cf', head + lines)
        self.write('master.cf', master + lacking(SERVICES, master))
        self.compile()

    def place(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        for part in ('etc', 'data', 'queue'):
            (self.directory / part).mkdir(parents=True)
        user = next(l.split(':') for l in open(self.root / 'etc' / 'passwd') if l.startswith('postfix:'))
        drop = next(l.split(':') for l in open(self.root / 'etc' / 'group') if l.startswith('postdrop:'))
        uid, group = int(user[2]), int(drop[2])
        modes = {'public': 0o710, 'maildrop': 0o730}
        for part in ('incoming', 'active', 'deferred', 'bounce', 'defer', 'flush', 'hold', 'corrupt', 'saved',
                     'trace', 'private', 'public', 'maildrop', 'pid'):
            path = self.directory / 'queue' / part
            path.mkdir()
            path.chmod(modes.get(part, 0o700))
            os.chown(path, 0 if part == 'pid' else uid, group if part in modes else 0)
        os.chown(self.directory / 'data', uid, 0)

    def write(self, name, text):
        for word, value in self.words.items():
            text = text.replace(word, value)
        # Debian's Postfix lists every type, but the Berkeley DB ones read files that it made itself.
        path = self.directory / 'etc' / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode('utf-8', 'surrogateescape'))
        places.date_back(path)

    def compile(self):
        """Makes the databases of all files that main.cf and master.cf use by a type that has them."""
        etc = self.directory / 'etc'
        used = re.findall(rf'\b(hash|btree|lmdb|cdb):(?:{self.inside}/etc|\$config_directory)/([\w./-]+)',
                          (etc / 'main.cf').read_text() + (etc / 'master.cf').read_text())
        for kind, file in sorted(set(used)):
            if (etc / file).exists():
                self.run('/usr/sbin/postmap', f'{kind}:{self.inside}/etc/{file}')

    def made(self):
        """The files that compile() made."""
        return [*self.directory.glob('etc/*.cdb'), *self.directory.glob('etc/*.lmdb')]

    def complaints(self):
        """What Postfix itself says against its configuration: unused and misspelt parameters."""
        return [line for line in self.run('/usr/sbin/postconf').splitlines() if line.startswith('/usr/sbin/postconf: ')]

    def run(self, program, *args):
        done = subprocess.run(['chroot', self.root, program, '-c', self.inside / 'etc', *args], text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=places.patient(20))
        if done.returncode:
            raise Broken(f'{program} {args}: {done.stdout}')
        return done.stdout

    def start(self):
        with open(self.directory / 'stderr', 'ab') as errors:
            self.process = subprocess.Popen(
                ['chroot', self.root, '/usr/lib/postfix/sbin/master', '-c', self.inside / 'etc', '-d'],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, start_new_session=True)
        await_true(lambda: self.process.poll() is not None or places.is_listening(self.port), 20, 'Postfix listens')
        if self.process.poll() is not None:
            raise Broken(f'Postfix did not start:\n{self.log()}')
        return self

    def queue_count(self):
        return sum(1 for part in ('incoming', 'active', 'deferred', 'hold', 'maildrop')
                   for path in (self.directory / 'queue' / part).rglob('*') if path.is_file())

    def log(self):
        return ''.join(path.read_text('utf-8', 'replace')
                       for path in (self.directory / 'stderr', self.directory / 'maillog') if path.exists())

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(places.patient(20))
            except subprocess.TimeoutExpired:
                pass
            # Its daemons are of its session; those that are still about end too.
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait()
        self.process = None
        if not os.environ.get('FOREPOST_TEST_KEEP'):
            shutil.rmtree(self.directory, ignore_errors=True)
