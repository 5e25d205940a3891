"""servers.py - what bench/run starts: the servers side by side, the next hop, a list in the DNS; and what they use

CPU is what a server's own processes used, by their cgroup, or from /proc where there is none. Memory is the sum of
their proportional sets (Pss).
"""

import atexit
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(__file__).resolve().parents[1]


def work_place():
    """Where Forepost's files lie: in build/, or, when an ordinary user cannot get there (/root), beside it."""
    place = TREE / 'build' / 'bench-run'
    if os.getuid() != 0 or all(p.stat().st_mode & 1 for p in TREE.parents) and TREE.stat().st_mode & 1:
        return place
    other = pathlib.Path(tempfile.mkdtemp(prefix='forepost-bench-', dir='/var/tmp'))
    other.chmod(0o755)
    atexit.register(shutil.rmtree, other, ignore_errors=True)
    return other


WORK = work_place()
ROOT = TREE / 'build' / 'peers' / 'root'
TOOLS = ('forepost-load', 'forepost-idle', 'forepost-sink')
USERS = 1000

MAIN = {
    'compatibility_level': '3.6',
    'maillog_file_prefixes': '@DIR@',
    'maillog_file': '@DIR@/log/maillog',
    'queue_directory': '@DIR@/queue',
    'myhostname': 'mx1.relay.test',
    'mydestination': '',
    'local_recipient_maps': '',
    'local_transport': 'error:no local delivery on this relay',
    'mynetworks': '192.0.2.0/24',
    'inet_interfaces': '127.0.0.1',
    'inet_protocols': 'ipv4',
    'relay_domains': 'relay.test',
    'relay_recipient_maps': '@MAP@:@DIR@/etc/recipients',
    'transport_maps': '@MAP@:@DIR@/etc/transport',
    'smtpd_helo_required': 'yes',
    'smtpd_relay_restrictions': 'reject_unauth_destination',
    'smtpd_recipient_restrictions': 'reject_unlisted_recipient',
    # One address stands for many clients.
    'smtpd_client_connection_count_limit': '0',
}
# Postfix at its best on this workload: more processes, no brake on input, no start-up of the destination's
# concurrency.
TUNED = {
    'mail_owner': 'postfix',
    'setgid_group': 'postdrop',
    'data_directory': '@DIR@/data',
    'daemon_directory': '/usr/lib/postfix/sbin',
    'command_directory': '/usr/sbin',
    'shlib_directory': '/usr/lib/postfix',
    'alias_maps': '',
    'alias_database': '',
    'default_process_limit': '300',
    'in_flow_delay': '0',
    'enable_long_queue_ids': 'yes',
    'relay_destination_concurrency_limit': '50',
    'initial_destination_concurrency': '20',
    'max_use': '1000',
}
POSTFIX_SERVICES = """
127.0.0.1:@PORT@ inet n - n - - smtpd
cleanup    unix n - n - 0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - n 1000? 1 tlsmgr
rewrite    unix - - n - - trivial-rewrite
bounce     unix - - n - 0 bounce
defer      unix - - n - 0 bounce
trace      unix - - n - 0 bounce
verify     unix - - n - 1 verify
flush      unix n - n 1000? 0 flush
pickup     unix n - n 60 1 pickup
proxymap   unix - - n - - proxymap
smtp       unix - - n - - smtp
relay      unix - - n - - smtp
showq      unix n - n - - showq
error      unix - - n - - error
retry      unix - - n - - error
discard    unix - - n - - discard
anvil      unix - - n - 1 anvil
scache     unix - - n - 1 scache
postlog    unix-dgram n - n - 1 postlogd
"""


class Trouble(Exception):
    """What was to be measured did not take place."""


def program():
    """The Forepost under test."""
    if 'FOREPOST' in os.environ:
        return pathlib.Path(os.environ['FOREPOST']).absolute()
    return TREE / 'build' / 'forepost'


def tool(name):
    return program().parent / 'bench' / name


def build():
    """Makes the program, when none is named, and the tools."""
    if 'FOREPOST' not in os.environ:
        subprocess.run([TREE / 'run', '--build'], check=True)
    subprocess.run(['ninja', '-C', program().parent, *(f'bench/{name}' for name in TOOLS)], check=True,
                   stdout=subprocess.DEVNULL)
    WORK.mkdir(parents=True, exist_ok=True)


def free_port():
    """Below the range of outgoing connections: theirs may have taken it when it is used, and one may meet itself there."""
    while True:
        port = random.randrange(12000, 20000)
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
        if port not in given_ports:
            given_ports.add(port)
            return port


given_ports = set()


def is_listening(port):
    with open('/proc/net/tcp') as lines:
        return any(f[1].endswith(f':{port:04X}') and f[3] == '0A' for f in map(str.split, lines))


def wait_until(question, seconds, what):
    end = time.monotonic() + seconds
    while not question():
        if time.monotonic() > end:
            raise Trouble(f'not within {seconds} s: {what}')
        time.sleep(0.01)


class Meter:
    """The processor time of a process and all that it starts."""

    def __init__(self, name):
        self.path = None
        for line in open('/proc/mounts'):
            if line.split()[2] == 'cgroup2':
                path = pathlib.Path(line.split()[1]) / f'forepost-bench-{os.getpid()}-{name}'
                try:
                    path.mkdir()
                    self.path = path
                    return
                except OSError:
                    pass

    def enter(self):
        """In the child, before it becomes the server."""
        if self.path:
            (self.path / 'cgroup.procs').write_text(str(os.getpid()))

    def seconds(self, pid):
        if self.path:
            for line in (self.path / 'cpu.stat').read_text().splitlines():
                if line.startswith('usage_usec'):
                    return int(line.split()[1]) / 1e6
        return self._tree_seconds(pid)

    def _tree_seconds(self, pid):
        try:
            fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
            children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
        except FileNotFoundError:
            return 0
        own = sum(map(int, fields[11:15])) / os.sysconf('SC_CLK_TCK')
        return own + sum(self._tree_seconds(child) for child in children)

    def pss_kib(self, pid):
        total = 0
        for member in self.members() or self._tree(pid):
            try:
                for line in pathlib.Path(f'/proc/{member}/smaps_rollup').read_text().splitlines():
                    if line.startswith('Pss:'):
                        total += int(line.split()[1])
            except (FileNotFoundError, ProcessLookupError):
                pass
        return total

    def _tree(self, pid):
        try:
            children = pathlib.Path(f'/proc/{pid}/task/{pid}/children').read_text().split()
        except FileNotFoundError:
            return []
        return [pid] + [one for child in children for one in self._tree(int(child))]

    def members(self):
        return [int(p) for p in (self.path / 'cgroup.procs').read_text().split()] if self.path else []

    def done(self):
        for _ in range(100):
            try:
                if self.path:
                    self.path.rmdir()
                return
            except OSError:
                time.sleep(0.05)


class Server:
    """One server in a fresh directory; inside_path is how its own processes see that directory."""

    name = ''
    map_type = 'hash'
    extra = {}
    services = '127.0.0.1:@PORT@ inet n - n - - smtpd\n'

    def __init__(self, next_hop, changes=None, transport=None, trace=False):
        self.trace, self.next_hop = trace, next_hop
        self.directory, self.inside = self.place()
        shutil.rmtree(self.directory, ignore_errors=True)
        for part in ('etc', 'log', 'data', 'queue'):
            (self.directory / part).mkdir(parents=True)
        self.port = free_port()
        main = {**MAIN, **self.extra, **(changes or {})}
        self.write('main.cf', ''.join(f'{k} = {v}\n' for k, v in main.items()))
        self.write('master.cf', self.services)
        self.write('recipients', ''.join(f'user{n}@relay.test OK\n' for n in range(1, USERS + 1)))
        self.write('transport', transport or f'relay.test relay:[127.0.0.1]:{next_hop}\n')
        self.prepare()
        self.meter = Meter(self.name)
        self.process = None

    def write(self, name, text):
        for word, value in (('@DIR@', self.inside), ('@PORT@', self.port), ('@MAP@', self.map_type)):
            text = text.replace(word, str(value))
        (self.directory / 'etc' / name).write_text(text)

    def start(self):
        command = list(map(str, self.command()))
        if self.trace:
            self.traced = WORK / f'syncs-{self.name}'
            command = ['strace', '-f', '-qq', '-o', str(self.traced), '-e', 'trace=fsync,fdatasync', *command]
        with open(self.directory / 'log' / 'stderr', 'wb') as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                preexec_fn=self.meter.enter, start_new_session=True)
        wait_until(lambda: self.process.poll() is not None or is_listening(self.port), 60,
                   f'{self.name} listens')
        if self.process.poll() is not None:
            raise Trouble(f"{self.name} did not start: {(self.directory / 'log' / 'stderr').read_text()}")

    def cpu(self):
        return self.meter.seconds(self.process.pid)

    def memory(self):
        """KiB"""
        return self.meter.pss_kib(self.process.pid)

    def rested_memory(self):
        """KiB, when it has not become less for some seconds: stacks of those who wait are given back by and by."""
        least, since = self.memory(), time.monotonic()
        while time.monotonic() < since + 5:
            time.sleep(0.5)
            now = self.memory()
            if now < least - 100:
                least, since = now, time.monotonic()
        return least

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        for pid in self.meter.members():
            os.kill(pid, signal.SIGKILL)
        self.meter.done()


class Forepost(Server):
    name = 'forepost'
    if os.getuid() == 0:
        extra = {'mail_owner': 'nobody'}

    def place(self):
        return WORK / 'forepost', WORK / 'forepost'

    def prepare(self):
        if os.getuid() == 0:
            nobody = pwd.getpwnam('nobody')
            for part in ('log', 'queue'):
                os.chown(self.directory / part, nobody.pw_uid, nobody.pw_gid)

    def command(self):
        return [program(), 'serve', '-c', self.directory / 'etc']

    def queue(self, *words, **options):
        return subprocess.run([program(), 'queue', *words, '-c', self.directory / 'etc'], check=True,
                              stderr=subprocess.DEVNULL, **options)

    def flush(self):
        self.queue('flush')

    @staticmethod
    def version():
        return subprocess.run([program(), '--version'], stdout=subprocess.PIPE, text=True).stdout.strip()


class Postfix(Server):
    name = 'postfix'
    map_type = 'lmdb'
    extra = TUNED
    services = POSTFIX_SERVICES

    def place(self):
        return ROOT / 'bench' / 'run', pathlib.Path('/bench/run')

    def prepare(self):
        user = next(l.split(':') for l in open(ROOT / 'etc' / 'passwd') if l.startswith('postfix:'))
        postdrop = next(l.split(':') for l in open(ROOT / 'etc' / 'group') if l.startswith('postdrop:'))
        uid, group = int(user[2]), int(postdrop[2])
        modes = {'public': 0o710, 'maildrop': 0o730}
        for part in ('incoming', 'active', 'deferred', 'bounce', 'defer', 'flush', 'hold', 'corrupt',
                     'saved', 'trace', 'private', 'public', 'maildrop', 'pid'):
            path = self.directory / 'queue' / part
            path.mkdir()
            path.chmod(modes.get(part, 0o700))
            os.chown(path, 0 if part == 'pid' else uid, group if part in modes else 0)
        os.chown(self.directory / 'data', uid, 0)
        for name in ('recipients', 'transport'):
            subprocess.run(['chroot', ROOT, '/usr/sbin/postmap', '-c', f'{self.inside}/etc',
                            f'lmdb:{self.inside}/etc/{name}'], check=True)

    def command(self):
        return ['chroot', ROOT, '/usr/lib/postfix/sbin/master', '-c', f'{self.inside}/etc', '-d']

    def flush(self):
        subprocess.run(['chroot', ROOT, '/usr/sbin/postqueue', '-c', f'{self.inside}/etc', '-f'], check=True)

    @staticmethod
    def version():
        shown = subprocess.run(['chroot', ROOT, '/usr/sbin/postconf', '-d', '-h', 'mail_version'],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return shown.stdout.strip()


class NextHop:
    """bench/sink.c, and its counters."""

    def __init__(self, port=None, address='127.0.0.1'):
        self.port = port or free_port()
        self.file = WORK / 'sink'
        self.process = subprocess.Popen([tool('forepost-sink'), address, str(self.port), self.file])
        wait_until(lambda: is_listening(self.port), 60, 'the next hop listens')

    def counts(self):
        """messages, bytes, connections, time of the last message"""
        return struct.unpack('4Q', self.file.read_bytes())

    def wait(self, messages, nudge=None):
        """Until so many have come, or none has for 20 seconds. `nudge` is called after each second in which none came."""
        last, since, nudges = -1, time.monotonic(), 0
        while True:
            found = self.counts()
            if found[0] >= messages:
                return found
            if found[0] != last:
                last, since, nudges = found[0], time.monotonic(), 0
            if time.monotonic() - since > 20:
                return found
            if nudge and time.monotonic() - since > nudges + 1:
                nudges += 1
                nudge()
            time.sleep(0.005)

    def stop(self):
        self.process.kill()
        self.process.wait()


def certificate():
    """main.cf lines for STARTTLS, with a certificate of our own."""
    paths = WORK / 'certificate', WORK / 'key'
    subprocess.run(['openssl', 'req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1',
                    '-days', '30', '-subj', '/CN=mx1.relay.test', '-out', paths[0], '-keyout', paths[1]],
                   check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if os.getuid() == 0:
        os.chown(paths[1], pwd.getpwnam('nobody').pw_uid, 0)
    return {'smtpd_tls_security_level': 'may', 'smtpd_tls_cert_file': str(paths[0]),
            'smtpd_tls_key_file': str(paths[1])}


def recipients_map(kind, entries):
    """The path of a built map of so many recipients, as parameters name it; kept between runs, since ten million take minutes."""
    place = TREE / 'build' / 'bench-maps'
    place.mkdir(exist_ok=True)
    text = place / f'recipients-{entries}'
    if not text.with_name(f'{text.name}.{kind}').exists():
        with open(text, 'w') as out:
            for first in range(0, entries, 10000):
                out.write(''.join(f'user{n}@relay.test OK\n' for n in range(first, min(first + 10000, entries))))
        subprocess.run([program(), 'map', 'build', f'{kind}:{text}'], check=True)
        text.unlink()
    return f'{kind}:{text}'


def load(port, *arguments):
    shown = subprocess.run([tool('forepost-load'), '-u', str(USERS), *map(str, arguments), '127.0.0.1', str(port)],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=3600)
    return json.loads(shown.stdout)


class Idle:
    """bench/idle.c: clients that say EHLO and then nothing, each from an address of its own."""

    def __init__(self, port, count, has_tls):
        words = ['-n', str(count), '-a', str(count), *(['-s'] if has_tls else []), '127.0.0.1', str(port)]
        self.process = subprocess.Popen([tool('forepost-idle'), *words], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise Trouble('the idle clients did not get their sessions')

    def stop(self):
        """How many sessions the server has not kept."""
        told = self.process.communicate()[0]
        return json.loads(told)['lost']

    @staticmethod
    def names(count):
        """A name server that knows a name for each of so many clients."""
        sys.path.insert(0, str(TREE / 'tests'))
        from harness.dns import NameServer
        last = [(1 + n >> 8 & 255, 1 + n & 255) for n in range(count)]
        return NameServer(''.join(f'{low}.{high}.1.127.in-addr.arpa PTR mail-{low}.site-{high}.customer.test\n'
                                  f'mail-{low}.site-{high}.customer.test A 127.1.{high}.{low}\n'
                                  for high, low in last))


class List:
    """rbldnsd with bl.test, which has 127.0.0.9; at the port that Debian's resolver asks, of an address of our own."""

    address = '127.53.53.53'

    def __init__(self):
        sys.path.insert(0, str(TREE / 'tests'))
        from harness.peer import Peer
        directory = pathlib.Path(tempfile.mkdtemp(prefix='forepost-bench-list-'))
        directory.chmod(0o755)
        (directory / 'zone').write_text('$TTL 3600\n$SOA 3600 ns.test. root.test. 0 1 1 1 3600\n'
                                        ':127.0.0.2:\n127.0.0.2\n127.0.0.9\n')
        self.directory = directory
        self.process = subprocess.Popen(
            Peer('rbldnsd').command('usr/sbin/rbldnsd', '-n', '-u', 'nobody', '-b', self.address, '-w', directory,
                                    'bl.test:ip4trie:zone'),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.resolv = ROOT / 'etc' / 'resolv.conf'
        if ROOT.exists():
            self.resolv.write_text(f'nameserver {self.address}\n')
        time.sleep(0.5)
        if self.process.poll() is not None:
            raise Trouble('rbldnsd did not start (it needs port 53 of ' + self.address + ': root)')

    def stop(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)
        if ROOT.exists():
            self.resolv.write_text('')
