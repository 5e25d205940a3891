"""power.py - a relay whose power is lost, at hundreds of instants of one recorded run

    /usr/bin/python3 tests/harness/power.py --cuts 300 --seed 1      as root; prints a report as JSON

The spool lies on a file system of its own, on a loop device, on a file that qemu-storage-daemon exports by FUSE and
whose every write and flush it logs (blklogwrites). A relay takes and delivers mail there for some seconds; for each
message it is noted how long the log was when it was begun, acknowledged, delivered. Then the disk is made anew as it
may have been at any instant: everything up to the last flush before it, and of what was written behind that a part,
by chance, some of it torn (a disk may keep any of it). On each of these disks the spool is opened, exported, and:
    every message that was acknowledged before, and not delivered before, is there, whole
    what is there was sent, and is whole; what a client took back before its end is nowhere
and on some of them a second opening finds the same, and a relay starts and delivers what is there.

Runs itself in a mount namespace of its own, so that nothing stays mounted whatever happens.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time

if __name__ == '__main__':
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import places                                                          # noqa: E402
from harness.dialogue import Dialogue                                               # noqa: E402
from harness.peer import Peer                                                       # noqa: E402
from harness.server import Server                                                   # noqa: E402
from harness.sink import Sink                                                       # noqa: E402

DISK_BYTES = 32 << 20
ZEROS = bytes(65536)
FLUSH, DISCARD = 1, 4
MAIN = {
    'relay_domains': 'relay.test', 'relay_recipient_maps': 'static:OK',
    'local_recipient_maps': '', 'local_transport': 'error:no local delivery',
    'smtpd_relay_restrictions': 'permit_mynetworks, reject_unauth_destination',
    'minimal_backoff_time': '1s', 'maximal_backoff_time': '2s', 'queue_run_delay': '1s',
    # Small segments, so that many are filled, copied forward and removed within seconds.
    'spool_segment_size': '1048576', 'large_message_threshold': '65536',
}


def why_not():
    """What this machine lacks; None: nothing."""
    if os.getuid() != 0:
        return 'needs root, to mount'
    for path in ('/dev/fuse', '/dev/loop-control', '/usr/sbin/mkfs.ext4'):
        if not os.path.exists(path):
            return f'there is no {path}'
    if subprocess.run(['unshare', '-m', 'true'], stderr=subprocess.DEVNULL).returncode:
        return 'no mount namespace may be made'
    return None


def run(*command, **options):
    return subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL, **options)


# ---- the recording ----

class Disk:
    """A file system whose writes are logged."""

    def __init__(self, directory):
        self.directory = directory
        self.image, self.log, self.export = (directory / n for n in ('disk.img', 'log.img', 'export.img'))
        self.mount = directory / 'mnt'
        for path in (self.image, self.log, self.export):
            path.touch()
        os.truncate(self.image, DISK_BYTES)
        self.mount.mkdir()
        node = 'driver=file,node-name={},filename={}'
        self.daemon = subprocess.Popen(
            [*Peer('qemu').command('/usr/bin/qemu-storage-daemon'),
             '--blockdev', node.format('file', self.image), '--blockdev', node.format('logfile', self.log),
             '--blockdev', 'driver=blklogwrites,node-name=disk,file=file,log=logfile,log-sector-size=512',
             '--export', f'type=fuse,id=export,node-name=disk,mountpoint={self.export},writable=on'],
            stdin=subprocess.DEVNULL)
        places.await_true(lambda: self.daemon.poll() is not None or self.export.stat().st_size == DISK_BYTES,
                          20, 'the disk is exported')
        assert self.daemon.poll() is None, 'qemu-storage-daemon did not start'
        run('mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=0,lazy_journal_init=0', '-J', 'size=4', self.export)
        run('mount', '-o', 'loop', self.export, self.mount)
        os.sync()
        self.begin = self.log_bytes()

    def log_bytes(self):
        return self.log.stat().st_size

    def close(self):
        run('umount', self.mount)
        self.daemon.terminate()
        self.daemon.wait(30)


# That end before their dot; of ten messages one does.
TAKEN_BACK_MIN = 20


class Record:
    """What was told of one message, and how long the log was then."""

    def __init__(self, number, size):
        self.number, self.size = number, size
        self.begun = self.acknowledged = self.delivered = None
        self.is_taken_back = False
        chance = random.Random(number)
        lines = [f'{chance.getrandbits(256):064x}' for _ in range(max(1, size // 66))]
        self.body = ''.join(line + '\r\n' for line in lines).encode()
        self.digest = hashlib.sha256(self.body).hexdigest()

    def content(self):
        return f'Subject: message\r\nX-Number: {self.number}\r\n\r\n'.encode() + self.body


class Recording:
    def __init__(self, disk):
        self.disk = disk
        self.records = []
        self.lock = threading.Lock()
        self.is_over = False
        self.failures = []

    def new(self, chance):
        with self.lock:
            size = chance.choice([300, 1000, 4000, 4000, 9000, 9000, 90000])
            record = Record(len(self.records), size)
            self.records.append(record)
        return record

    def client(self, port, seed):
        chance = random.Random(seed)
        try:
            while not self.is_over:
                talk = Dialogue(port)
                talk.reply()
                talk.ask('EHLO client.test', '250 ')
                for _ in range(chance.randint(1, 6)):
                    self.send(talk, self.new(chance), chance)
                    if talk.socket.fileno() < 0:
                        break
                talk.close()
        except Exception as error:          # noqa: BLE001 - told at the end
            self.failures.append(repr(error))

    def go_on(self, seconds, taken_back):
        """For so long, and on a busy machine until there is enough to be judged."""
        time.sleep(seconds)
        places.await_true(lambda: self.failures or sum(r.is_taken_back for r in list(self.records)) >= taken_back,
                          100, f'{taken_back} messages are taken back')

    def send(self, talk, record, chance):
        record.is_taken_back = chance.random() < 0.1
        # Some recipients are refused for a while by the next hop, so that messages stay and are copied forward.
        user = chance.choice(['a', 'b', 'c', 'later'])
        talk.ask('MAIL FROM:<from@client.test>', '250 ')
        talk.ask(f'RCPT TO:<{user}@relay.test>', '250 ')
        talk.ask('DATA', '354 ')
        record.begun = self.disk.log_bytes()
        if record.is_taken_back:
            talk.send(record.content())
            talk.socket.close()             # everything but the dot
            return
        talk.send(record.content() + b'.\r\n')
        reply = talk.reply()[-1]
        assert reply.startswith('250 '), reply
        record.acknowledged = self.disk.log_bytes()

    def append(self, message):              # in the place of the next hop's list
        number = int(re.search(rb'^X-Number: (\d+)', message.header, re.M).group(1))
        self.records[number].delivered = self.disk.log_bytes()


def record(disk, seconds, seed):
    recording = Recording(disk)
    sink = Sink().start()
    sink.messages = recording
    sink.reply('RCPT=later@relay.test', '451 4.3.0 later')
    queue = disk.mount / 'queue'
    queue.mkdir()
    places.give(queue)
    relay = Server('relay', main={**MAIN, 'queue_directory': str(queue),
                                  'transport_maps': f'inline:{{relay.test=relay:[127.0.0.1]:{sink.port}}}'})
    relay.start()
    threads = [threading.Thread(target=recording.client, args=(relay.port, seed * 1000 + n)) for n in range(8)]
    for thread in threads:
        thread.start()
    recording.go_on(seconds / 2, TAKEN_BACK_MIN // 2)
    sink.reply('RCPT=later@relay.test', None)
    recording.go_on(seconds / 2, TAKEN_BACK_MIN)
    recording.is_over = True
    for thread in threads:
        thread.join()
    # An orderly end belongs to it.
    relay.stop()
    sink.stop()
    assert not recording.failures, recording.failures
    return recording


# ---- disks as they may have been ----

class Replay:
    def __init__(self, log):
        self.file = open(log, 'rb')
        magic, version, count, self.sector = struct.unpack('<QQQI', self.file.read(512)[:28])
        assert magic == 0x6a736677736872 and version == 1
        self.entries = []                   # (first byte, bytes, flags, where its data is, end of the entry)
        at = self.sector
        for _ in range(count):
            self.file.seek(at)
            sector, sectors, flags, _ = struct.unpack('<QQQQ', self.file.read(32))
            at += self.sector
            data = at
            if sectors and not flags & DISCARD:
                at += sectors * self.sector
            self.entries.append((sector * self.sector, sectors * self.sector, flags, data, at))
        self.image = bytearray(DISK_BYTES)
        self.done = 0                       # entries in the image: up to a flush

    def apply(self, image, entry, keep=None):
        first, length, flags, data, _ = entry
        if not length or flags & DISCARD:
            return
        self.file.seek(data)
        content = self.file.read(length)
        if keep is None:
            image[first:first + length] = content
            return
        for at in range(0, length, 512):    # torn: sectors are whole, writes are not
            if keep():
                image[first + at:first + at + 512] = content[at:at + 512]

    def cut(self, index, chance, path):
        """The disk after entry `index`; what no flush has followed is there, dropped or torn."""
        flushes = [n for n in range(self.done, index + 1) if self.entries[n][2] & FLUSH]
        if flushes:
            for n in range(self.done, flushes[-1] + 1):
                self.apply(self.image, self.entries[n])
            self.done = flushes[-1] + 1
        image = bytearray(self.image)
        style = chance.choice(['none', 'all', 'some', 'torn'])
        for n in range(self.done, index + 1):
            kept = {'none': False, 'all': True}.get(style, chance.random() < 0.5)
            if style == 'torn' and chance.random() < 0.5:
                self.apply(image, self.entries[n], lambda: chance.random() < 0.5)
            elif kept:
                self.apply(image, self.entries[n])
        with open(path, 'wb') as out:       # holes for zeros
            for at in range(0, DISK_BYTES, 65536):
                piece = image[at:at + 65536]
                if piece != ZEROS:
                    out.seek(at)
                    out.write(piece)
            out.truncate(DISK_BYTES)
        return style, self.entries[index][4]


def read_stream(stream):
    """What `queue export` wrote: contents."""
    assert stream.startswith(b'FOREPOST-SPOOL 1\n')
    at, contents = 17, []
    while at < len(stream):
        kind, length = stream[at:at + 1], struct.unpack('<I', stream[at + 4:at + 8])[0]
        payload = stream[at + 12:at + 12 + length]
        at += 12 + length
        if kind == b'M':
            contents.append(b'')
        elif kind == b'C':
            contents[-1] += payload
        else:
            assert kind == b'Z' and at == len(stream)
            return contents
    raise AssertionError('a stream without its end')


class Judge:
    def __init__(self, recording, seed):
        self.records = recording.records
        self.chance = random.Random(seed)
        self.counts = {'cuts': 0, 'found': 0, 'owed': 0, 'starts': 0, 'delivered at starts': 0, 'torn groups': 0, 'styles': {}}
        self.base = places.new_directory('replay')
        # In memory: these disks are thrown away.
        run('mount', '-t', 'tmpfs', '-o', 'size=100m,mode=755', 'tmpfs', self.base)
        self.mount = self.base / 'mnt'
        self.mount.mkdir()

    def offline(self, server, *words):
        done = subprocess.run([str(places.program()), 'queue', *words, '-c', str(server.etc)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              cwd=server.directory, **server._identity())
        # Of a group that no flush had followed some blocks may be there, and others before them not: told of as damage.
        is_damaged = b'damaged places stay where they are' in done.stderr
        self.counts['torn groups'] += is_damaged and words == ('export',)
        assert done.returncode == is_damaged, (words, done.returncode, done.stderr.decode())
        return done.stdout

    def numbers(self, contents, log_bytes):
        found = set()
        for content in contents:
            number = int(re.search(rb'^X-Number: (\d+)\r$', content, re.M).group(1))
            record = self.records[number]
            body = content.partition(b'\r\n\r\n')[2]
            assert hashlib.sha256(body).hexdigest() == record.digest, f'{number} is not what was sent'
            assert not record.is_taken_back, f'{number} was taken back by its client'
            assert record.begun <= log_bytes, f'{number} was not yet sent'
            assert number not in found, f'{number} is there twice'
            found.add(number)
        return found

    def look(self, path, log_bytes, delivers):
        run('mount', '-o', 'loop', path, self.mount)
        try:
            queue = self.mount / 'queue'
            if not queue.exists():
                queue.mkdir()
                places.give(queue)
            sink = Sink()
            server = Server('again', main={
                **MAIN, 'queue_directory': str(queue),
                'transport_maps': f'inline:{{relay.test=relay:[127.0.0.1]:{sink.port}}}'})
            # Opens the spool as a server does: reads, cuts, begins a new segment.
            self.offline(server, 'import', '--abort')
            found = self.numbers(read_stream(self.offline(server, 'export')), log_bytes)
            owed = {r.number for r in self.records
                    if r.acknowledged is not None and r.acknowledged <= log_bytes
                    and not (r.delivered is not None and r.delivered <= log_bytes)}
            assert owed <= found, f'lost: {sorted(owed - found)[:10]} of {len(owed)}'
            self.counts['found'] += len(found)
            self.counts['owed'] += len(owed)
            if not delivers:
                return
            self.offline(server, 'export', '--undo')
            self.offline(server, 'import', '--abort')
            again = self.numbers(read_stream(self.offline(server, 'export')), log_bytes)
            self.offline(server, 'export', '--undo')
            assert again == found, 'the second opening finds another spool'
            self.deliver(server, sink, found, log_bytes)
        finally:
            for _ in range(50):
                if subprocess.run(['umount', self.mount], stderr=subprocess.DEVNULL).returncode == 0:
                    break
                time.sleep(0.1)

    def deliver(self, server, sink, expected, log_bytes):
        sink.start()
        server.start()
        try:
            server.command('queue', 'flush')
            server.await_queue_count(0, 20)
            got = self.numbers([m.data for m in sink.messages], log_bytes)
            assert got == expected, f'{len(got)} delivered of {len(expected)}'
            self.counts['starts'] += 1
            self.counts['delivered at starts'] += len(got)
            server.stop()
        finally:
            server.kill()
            sink.stop()

    def run(self, disk, cuts):
        replay = Replay(disk.log)
        first = next(n for n, entry in enumerate(replay.entries) if entry[4] > disk.begin)
        points = sorted(self.chance.sample(range(first, len(replay.entries)),
                                           min(cuts, len(replay.entries) - first)))
        path = self.base / 'disk.img'
        for n, point in enumerate(points):
            style, log_bytes = replay.cut(point, self.chance, path)
            try:
                self.look(path, log_bytes, n % 20 == 19)
            except AssertionError as error:
                raise AssertionError(f'power lost after entry {point} ({style}): {error}') from error
            self.counts['cuts'] += 1
            self.counts['styles'][style] = self.counts['styles'].get(style, 0) + 1
        return len(replay.entries) - first


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cuts', type=int, default=300)
    parser.add_argument('--seconds', type=float, default=4)
    parser.add_argument('--seed', type=int, default=int(time.time()))
    options = parser.parse_args()
    if 'FOREPOST_POWER_INSIDE' not in os.environ:
        os.environ['FOREPOST_POWER_INSIDE'] = '1'
        os.execvp('unshare', ['unshare', '-m', '--propagation', 'private', sys.executable, __file__,
                              '--cuts', str(options.cuts), '--seconds', str(options.seconds),
                              '--seed', str(options.seed)])
    socket.setdefaulttimeout(20)
    disk = Disk(places.new_directory('power'))
    try:
        recording = record(disk, options.seconds, options.seed)
    finally:
        disk.close()
    judge = Judge(recording, options.seed)
    try:
        entries = judge.run(disk, options.cuts)
    finally:
        subprocess.run(['umount', '-l', judge.base])    # else it cannot be taken away at the end
    acknowledged = [r for r in recording.records if r.acknowledged is not None]
    print(json.dumps({'seed': options.seed, 'writes and flushes': entries, 'acknowledged': len(acknowledged),
                      'taken back': sum(r.is_taken_back for r in recording.records), **judge.counts}))


if __name__ == '__main__':
    main()
