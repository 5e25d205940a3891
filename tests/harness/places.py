"""places.py - where things are while tests run: directories, ports, the user, certificates"""

import atexit
import functools
import os
import pathlib
import pwd
import random
import re
import shutil
import socket
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]


class Broken(AssertionError):
    """The program (not the test) did what it must not."""


# Limits in the tests are what a machine of its own would never need. Where many others work on it, it may.
PATIENCE = 6


def patient(seconds):
    """How long to wait for what must come at all, before it is said that it does not."""
    return seconds * PATIENCE


def await_true(question, seconds, what):
    """Asks until the answer is true; then gives it. For what has no event to wait for. `what` may be called for its text."""
    seconds = patient(seconds)
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Broken(f'not within {seconds} s: {what() if callable(what) else what}')
        time.sleep(0.005)


def user():
    """The ordinary user as whom servers run when the tests are run by root; None: as we are."""
    name = os.environ.get('FOREPOST_TEST_USER', 'nobody')
    return None if os.getuid() != 0 or name == 'root' else pwd.getpwnam(name)


def give(path):
    """Hands a file or directory to that user."""
    owner = user()
    if owner:
        os.chown(path, owner.pw_uid, owner.pw_gid)


@functools.lru_cache(maxsize=None)
def base():
    """One directory for this run of the tests, where any user may look; goes away at the end."""
    path = tempfile.mkdtemp(prefix='forepost-test-', dir='/tmp')
    os.chmod(path, 0o755)
    atexit.register(clean)
    return pathlib.Path(path)


def clean():
    """Takes away what base() made; may be called again."""
    if base.cache_info().currsize and not os.environ.get('FOREPOST_TEST_KEEP'):
        shutil.rmtree(base(), ignore_errors=True)


def new_directory(name):
    path = pathlib.Path(tempfile.mkdtemp(prefix=name + '-', dir=base()))
    os.chmod(path, 0o755)
    give(path)
    return path


@functools.lru_cache(maxsize=None)
def program():
    """The binary under test: $FOREPOST, else build/forepost; copied to where any user may run it."""
    path = pathlib.Path(os.environ.get('FOREPOST', SOURCE / 'build' / 'forepost')).absolute()
    if not path.exists():
        raise FileNotFoundError(f'{path}: no such program; build it first (./run --build)')
    copy = base() / 'forepost'
    shutil.copy(path, copy)
    os.chmod(copy, 0o755)
    return copy


def free_range():
    """Outside the ephemeral range, so that no outgoing connection takes a port between its choice and its use."""
    low, high = map(int, pathlib.Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split())
    for ports in (range(20000, 32000), range(max(4000, low - 12000), low), range(high + 1, min(high + 12001, 65536))):
        if len(ports) >= 6000 and (ports[-1] < low or ports[0] > high):
            return ports
    return range(20000, 32000)      # nearly all is ephemeral here


PORTS = free_range()
_given_ports = set()


def own_ports():
    """The part of PORTS that no other process of this run of the tests chooses from."""
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    number = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))
    share = len(PORTS) // workers
    return PORTS[number * share:(number + 1) * share]


def is_free(port, address):
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def free_port(address='127.0.0.1', beside=()):
    """A port that nobody has, nor was given before; likewise those so far above it (`beside`)."""
    ports = own_ports()
    while True:
        first = random.choice(ports)
        wanted = {first, *(first + step for step in beside)}
        if wanted & _given_ports or max(wanted) not in ports:
            continue
        if all(is_free(port, address) for port in wanted):
            _given_ports.update(wanted)
            return first


def date_back(path):
    """Debian's Postfix reads a configuration file again and again until it is a second old: now it is."""
    before = time.time() - 60
    os.utime(path, (before, before))


def is_listening(port):
    """Asks the kernel instead of connecting, so that the server's first client is the test."""
    wanted = f':{port:04X}'
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        try:
            with open(table) as lines:
                if any(f[1].endswith(wanted) and f[3] == '0A' for f in map(str.split, lines)):
                    return True
        except FileNotFoundError:
            pass
    return False


@functools.lru_cache(maxsize=None)
def certificate(name='mx1.relay.test'):
    """(certificate, key): a self-signed P-256 certificate for `name`, readable by the server."""
    paths = base() / f'{name}.crt', base() / f'{name}.key'
    subprocess.run(
        ['openssl', 'req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt',
         'ec_paramgen_curve:prime256v1', '-days', '30', '-subj', f'/CN={name}',
         '-addext', f'subjectAltName=DNS:{name}', '-out', paths[0], '-keyout', paths[1]],
        check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    give(paths[1])
    return paths


@functools.lru_cache(maxsize=None)
def has_sanitizer():
    """Memory and speed of such a program are not the real ones."""
    return bool(re.search(b'__[at]san_init', program().read_bytes()))


def resident_kib(pid):
    """Memory of a process that is in RAM, file pages aside."""
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'^RssAnon:\s+(\d+)', status, re.M).group(1))
