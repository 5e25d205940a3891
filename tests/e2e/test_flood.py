"""Many messages through a relay into a core's Maildirs: each there, once, and as it was sent."""

import collections
import hashlib
import os
import re
import signal
import subprocess

import pytest

from harness import places

MESSAGES = 20000


def stored(core):
    """Every message in the core's ten mailboxes."""
    for box in (core.directory / 'mail' / 'relay.test').iterdir():
        for part in ('new', 'cur'):
            with os.scandir(box / part) as files:
                for file in files:
                    with open(file.path, 'rb') as text:
                        yield text.read()


def stored_count(core):
    base = core.directory / 'mail' / 'relay.test'
    if not base.is_dir():
        return 0
    return sum(len(os.listdir(box / 'new')) for box in base.iterdir() if (box / 'new').is_dir())


def await_stored(core, count, seconds):
    """Waits until so many are there, as long as more are coming."""
    last = [0, 0]

    def is_there():
        found = stored_count(core)
        last[0], last[1] = found, last[0]
        return found >= count

    try:
        places.await_true(is_there, seconds, 'all are there')
    except places.Broken:
        raise places.Broken(f'{last[0]} of {count} messages arrived in {seconds} s') from None


def load_numbers(core):
    """How often each number of bench/load.c's messages is stored; each body has its digest."""
    seen = collections.Counter()
    for text in stored(core):
        header, _, body = text.partition(b'\n\n')
        number, digest = re.search(rb'^X-Load: (\d+) ([0-9a-f]{64})$', header, re.M).groups()
        assert hashlib.sha256(body).hexdigest().encode() == digest, f'message {number} was changed'
        seen[int(number)] += 1
    return seen


@pytest.mark.long
def test_smtp_source(network, peers):
    """Postfix's own generator: 20,000 messages over 100 connections."""
    relay, core = network.pair()
    subprocess.run([peers / 'smtp-source', '-d', '-s', '100', '-m', str(MESSAGES), '-l', '4096', '-N',
                    '-M', 'client.test',
                    '-f', 'sender@client.test', '-t', 'user@relay.test', f'inet:127.0.0.1:{relay.port}'],
                   check=True, stdin=subprocess.DEVNULL, timeout=800)
    await_stored(core, MESSAGES, 120)
    relay.await_queue_count(0)
    core.await_queue_count(0)

    # All bodies of smtp-source are the same one; who it was for is in the header.
    bodies, recipients = set(), collections.Counter()
    for text in stored(core):
        header, _, body = text.partition(b'\n\n')
        bodies.add(hashlib.sha256(body).digest())
        recipients[re.search(rb'^Delivered-To: (\S+)$', header, re.M).group(1)] += 1
        assert len(re.findall(rb'^Received: ', header, re.M)) == 2
    assert len(bodies) == 1
    assert sum(recipients.values()) == MESSAGES
    assert set(recipients.values()) == {1} and len(recipients) == MESSAGES


@pytest.mark.long
def test_each_body_is_its_own(network, load, tmp_path):
    relay, core = network.pair()
    record = tmp_path / 'accepted'
    result = load(relay.port, '-n', MESSAGES, '-c', 100, '-d', '-o', record)
    assert result['accepted'] == MESSAGES, result
    await_stored(core, MESSAGES, 120)
    relay.await_queue_count(0)
    seen = load_numbers(core)
    assert set(seen) == set(range(1, MESSAGES + 1)) and set(seen.values()) == {1}


@pytest.mark.long
def test_the_worker_is_killed_five_times(network, load, tmp_path):
    """SIGKILL to the relay's worker under load: every message that got its 250 arrives."""
    relay, core = network.pair()
    record = tmp_path / 'accepted'
    client = load.start(relay.port, '-n', MESSAGES, '-c', 100, '-d', '-o', record, '-k', 60)

    def accepted():
        return record.read_bytes().count(b'\n') if record.exists() else 0

    killed = []
    try:
        for share in (0.1, 0.25, 0.45, 0.65, 0.85):
            places.await_true(lambda: accepted() >= share * MESSAGES, 60, f'{share} of all accepted')
            workers = relay.children()
            assert workers and not set(workers) & set(killed)
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
            killed += workers
            places.await_true(lambda: set(relay.children()) - set(killed), 20, 'the worker is back')
        client.wait(places.patient(120))
    finally:
        client.kill()
    assert relay.process.poll() is None, 'the supervisor must survive'

    numbers = {int(n) for n in record.read_text().split()}
    assert len(numbers) == MESSAGES, client.stdout.read()
    relay.command('queue', 'flush')
    relay.await_queue_count(0, 120)
    core.await_queue_count(0, 60)
    seen = load_numbers(core)
    missing = numbers - set(seen)
    duplicates = sum(seen.values()) - len(seen)
    print(f'{len(killed)} workers killed, {duplicates} duplicates')
    assert not missing, f'{len(missing)} lost: {sorted(missing)[:20]}'


def test_the_core_is_killed_too(network, load, tmp_path):
    """The same on the core: what its worker had answered 250 to is delivered after its return."""
    relay, core = network.pair()
    count = 5000
    record = tmp_path / 'accepted'
    client = load.start(relay.port, '-n', count, '-c', 50, '-d', '-o', record, '-k', 60)
    try:
        for share in (0.2, 0.6):
            places.await_true(lambda: stored_count(core) >= share * count, 60, f'{share} of all stored')
            before = core.children()
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            places.await_true(lambda: set(core.children()) - set(before), 20, 'the worker is back')
        client.wait(places.patient(120))
    finally:
        client.kill()
    numbers = {int(n) for n in record.read_text().split()}
    assert len(numbers) == count
    relay.command('queue', 'flush')
    relay.await_queue_count(0, 60)
    core.await_queue_count(0, 60)
    missing = numbers - set(load_numbers(core))
    assert not missing, f'{len(missing)} lost: {sorted(missing)[:20]}'
    # Nothing half-written stands where a reader looks, and what a crash left in tmp is little.
    for box in (core.directory / 'mail' / 'relay.test').iterdir():
        assert len(os.listdir(box / 'tmp')) < 200
