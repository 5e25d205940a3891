"""server.py - a real `forepost serve` in a directory of its own

    server = Server('relay', main={'relay_domains': 'relay.test'}, files={'x': '...'})
    server.start()
    server.command('queue', 'count').stdout
    server.stop()           # SIGTERM; a Broken when it does not end cleanly

Configuration is a dict of main.cf lines; a value of None takes a line of the defaults away. In all
texts @DIR@ is the server's directory and @PORT@ its first port.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

from harness import places
from harness.places import Broken, await_true, patient

# Every server's main.cf. Names nobody: mynetworks is a documentation network, so that the tests on
# 127.0.0.1 are strangers, as the world is.
DEFAULTS = {
    'compatibility_level': '3.6',
    'queue_directory': '@DIR@/queue',
    'maillog_file': '@DIR@/maillog',
    'maillog_file_prefixes': '@DIR@',
    'myhostname': 'mx1.relay.test',
    'mydestination': '',
    'mynetworks': '192.0.2.0/24',
    'inet_interfaces': '127.0.0.1',
    'inet_protocols': 'ipv4',
    # No test asks a name server of the world. Those that need answers have harness/dns.py.
    'dns_forward': '127.0.0.1@1',
    'dns_validation': 'no',
    'smtpd_peername_lookup': 'no',
}
MASTER = '127.0.0.1:@PORT@ inet n - n - - smtpd\n'

SANITIZERS = {
    'ASAN_OPTIONS': 'detect_stack_use_after_return=0:abort_on_error=1',
    'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1',
    'TSAN_OPTIONS': 'halt_on_error=1:second_deadlock_stack=1',
}
REPORT = re.compile(r'(ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|'
                    r'check failed:|unexpected: not |panic: |Assertion .* failed)')


def parse_main_cf(text):
    """main.cf lines as a dict in their order; continuation lines stay with their parameter."""
    lines = {}
    name = None
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith('#'):
            continue
        if line[0].isspace():
            lines[name] += '\n' + line
        else:
            name, _, value = line.partition('=')
            name = name.strip()
            lines[name] = value.strip()
    return lines


def group_lives(group):
    """Has any thread of this process group not ended yet?"""
    for path in pathlib.Path('/proc').glob('[0-9]*/task/[0-9]*/stat'):
        try:
            state, _, own = path.read_text().rpartition(')')[2].split()[:3]
        except (OSError, ValueError):
            continue
        if int(own) == group and state not in 'ZX':
            return True
    return False


class Server:
    def __init__(self, name, main=None, files=None, master=MASTER, port=None, as_root=False,
                 directory=None, prefix=()):
        self.name = name
        self.directory = pathlib.Path(directory) if directory else places.new_directory(name)
        self.etc = self.directory / 'etc'
        self.etc.mkdir(exist_ok=True)
        self.port = port or places.free_port()
        self.as_root = as_root
        self.prefix = list(prefix)      # a command that runs the server: valgrind, unshare
        self.process = None
        self.words = {'@DIR@': str(self.directory), '@PORT@': str(self.port)}
        self.head = ''          # a main.cf to stand above the lines of self.main
        self.main = {**DEFAULTS, **(main or {})}
        self.master = master
        for file, text in (files or {}).items():
            self.write(file, text)
        self.write_configuration()

    # ---- configuration ----

    def filled_in(self, text):
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def write(self, name, text):
        """A file in the configuration directory, put in place whole."""
        path = self.etc / name
        path.parent.mkdir(exist_ok=True)
        fresh = path.with_name(path.name + '.new')
        fresh.write_bytes(self.filled_in(text).encode('utf-8', 'surrogateescape'))
        fresh.rename(path)
        return path

    def write_configuration(self, **changes):
        self.main.update(changes)
        lines = (f'{name} = {value}'.rstrip() for name, value in self.main.items()
                 if value is not None)
        self.write('main.cf', self.head + '\n'.join(lines) + '\n')
        self.write('master.cf', self.master)

    # ---- life ----

    def _identity(self):
        owner = None if self.as_root else places.user()
        if not owner:
            return {}
        return {'user': owner.pw_uid, 'group': owner.pw_gid, 'extra_groups': []}

    def spawn(self, *arguments, **options):
        """`forepost ARGUMENTS -c DIR`, started and left running."""
        command = [*self.prefix, str(places.program()), *map(str, arguments), '-c', str(self.etc)]
        environment = {**SANITIZERS, **os.environ, 'LC_ALL': 'C.UTF-8'}
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=self.directory,
                                env=environment, start_new_session=True, **self._identity(),
                                **options)

    def command(self, *arguments, timeout=20):
        """`forepost ARGUMENTS -c DIR` run to its end: returncode, stdout, stderr as text."""
        process = self.spawn(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, errors = process.communicate(timeout=patient(timeout))
        except subprocess.TimeoutExpired:
            self._kill_group(process)
            process.wait()
            raise Broken(f'forepost {" ".join(map(str, arguments))}: not done in {patient(timeout)} s')
        out, errors = out.decode('utf-8', 'replace'), errors.decode('utf-8', 'replace')
        if REPORT.search(errors) or process.returncode < 0:
            raise Broken(f'forepost {" ".join(map(str, arguments))}: {process.returncode}: {errors}')
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    def ports(self):
        """The loopback ports that master.cf names."""
        text = self.filled_in(self.master)
        return [int(p) for p in re.findall(r'^\S*?:?(\d+)\s+inet\s', text, re.M)]

    def start(self, timeout=20):
        assert not self.process
        with open(self.directory / 'stderr', 'ab') as errors:
            self.process = self.spawn('serve', stdout=errors, stderr=errors)

        def is_up():
            if self.process.poll() is not None:
                code, self.process = self.process.returncode, None
                raise Broken(f'{self.name} did not start, exit {code}:\n{self.stderr()}')
            return all(places.is_listening(port) for port in self.ports())

        await_true(is_up, timeout, lambda: f'{self.name} listens on {self.ports()}\n{self.log()[-3000:]}')
        return self

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        """The processes that the supervisor started: the worker."""
        path = f'/proc/{self.pid}/task/{self.pid}/children'
        return [int(pid) for pid in pathlib.Path(path).read_text().split()]

    def signal(self, number):
        os.kill(self.pid, number)

    def stop(self, timeout=20):
        """Ends it as an administrator would. Broken if it is not gone in time, or not with 0."""
        if not self.process:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(patient(timeout))
        except subprocess.TimeoutExpired:
            self._kill_group(process)
            process.wait()
            raise Broken(f'{self.name} did not end within {patient(timeout)} s of SIGTERM:\n{self.log()[-3000:]}')
        if code != 0:
            raise Broken(f'{self.name} ended with {code}:\n{self.stderr()[-3000:]}')
        self.check_health()

    def kill(self):
        """What must not be left behind, whatever happened before."""
        if self.process:
            self._kill_group(self.process)
            self.process.wait()
            self.process = None

    def _kill_group(self, process):
        """All of it, and until all of it is gone: a worker that still dies has the queue's lock and the ports."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        await_true(lambda: not group_lives(process.pid), 20, f'process group {process.pid} is gone')

    # ---- what it said ----

    def stderr(self):
        try:
            return (self.directory / 'stderr').read_text('utf-8', 'replace')
        except FileNotFoundError:
            return ''

    def log(self):
        try:
            return self.stderr() + (self.directory / 'maillog').read_text('utf-8', 'replace')
        except FileNotFoundError:
            return self.stderr()

    def check_health(self):
        """No sanitizer's report, no broken check, no panic."""
        found = REPORT.search(self.log())
        if found:
            text = self.log()
            raise Broken(f'{self.name}: {text[max(0, found.start() - 500):found.start() + 6000]}')

    def await_log(self, pattern, seconds=10):
        return await_true(lambda: re.search(pattern, self.log(), re.M), seconds,
                          lambda: f'a log line of {self.name} like {pattern}\n{self.log()[-3000:]}')

    # ---- the queue and the mailboxes ----

    def queue_count(self):
        result = self.command('queue', 'count')
        if result.returncode != 0:
            raise Broken(f'queue count: {result.returncode} {result.stdout}{result.stderr}')
        return int(result.stdout.split()[0])

    def await_queue_count(self, count, seconds=10):
        seen = []

        def is_so():
            seen[:] = [self.queue_count()]
            return seen[0] == count

        try:
            await_true(is_so, seconds, 'count')
        except Broken:
            raise Broken(f'{self.name}: {seen[0]} messages in the queue, not {count}\n'
                         f'{self.log()[-3000:]}') from None

    def await_no_attempt(self, seconds=10):
        """Nothing is being tried: what the log calls deferred waits indeed, and can be flushed."""
        def active():
            return json.loads(self.command('status', '--json').stdout)['queue']['active']

        await_true(lambda: active() == 0, seconds, lambda: f'no message is being tried\n{self.log()[-3000:]}')

    def maildir(self, name):
        """The messages in a Maildir below virtual_mailbox_base (@DIR@/mail), oldest first."""
        box = self.directory / 'mail' / name
        found = [f for part in ('new', 'cur') if (box / part).is_dir() for f in (box / part).iterdir()]
        return sorted(found, key=lambda f: (f.stat().st_mtime_ns, f.name))

    def await_maildir(self, name, count, seconds=10):
        try:
            await_true(lambda: len(self.maildir(name)) >= count, seconds, 'mail')
        except Broken:
            pass
        found = self.maildir(name)
        if len(found) != count:
            raise Broken(f'{self.name}: {len(found)} messages in {name}, not {count}\n'
                         f'{self.log()[-3000:]}')
        return [f.read_bytes() for f in found]


def is_alive(pid):
    """A process that ended but was not reaped (a zombie) is not alive."""
    try:
        state = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in 'ZX'


def wait_gone(pids, seconds):
    """True when none of these processes is alive any more."""
    end = time.monotonic() + patient(seconds)
    while time.monotonic() < end:
        if not any(map(is_alive, pids)):
            return True
        time.sleep(0.02)
    return False
