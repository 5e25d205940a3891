"""kills.py - a relay under load that is killed (-9) at random instants, again and again

    report = Kills(network_relay, sink, load).run(40, seed=1)

Ten clients send numbered messages with digests of their own; each round they are new ones (round3@client.test), so
that a message is known by round and number. At the end everything must hold:
    every message that was acknowledged has been delivered, whole
    nothing was delivered that nobody sent, or that differs from what was sent
    a message that was not acknowledged, and is delivered, was on its way when a kill came
    a second copy is only of a message whose first was delivered, or was being sent, when a kill came
"""

import hashlib
import random
import re
import subprocess
import time

from harness import places
from harness.places import Broken

CLIENTS = 10
# How long after its delivery a message may still be without a durable result: the notes of a turn are written
# within milliseconds; the rest is a machine that is busy with other tests. How busy, its starts tell.
UNSETTLED_S = 0.5
UNSETTLED_STARTS = 3
# A relay that does not get the processor does not deliver either: so few that came behind it prove nothing.
UNSETTLED_MESSAGES = 300


class Deliveries:
    """Takes the place of a Sink's list of messages: keeps what is to be counted."""

    def __init__(self):
        self.times = {}         # (round, number): when each copy came
        self.instants = []      # of all copies
        self.wrong = []

    def append(self, message):
        now = time.monotonic()
        self.instants.append(now)
        head, _, body = message.data.partition(b'\r\n\r\n')
        load = re.search(rb'^X-Load: (\d+) ([0-9a-f]{64})', head, re.M)
        sender = re.match(r'<round(\d+)@client\.test>', message.sender)
        digest = hashlib.sha256(body.replace(b'\r\n', b'\n')).hexdigest().encode()
        if not load or not sender or digest != load.group(2):
            self.wrong.append((message.sender, head[:300]))
            return
        self.times.setdefault((int(sender.group(1)), int(load.group(1))), []).append(now)


class Kills:
    def __init__(self, relay, sink, generator):
        self.relay, self.sink, self.generator = relay, sink, generator
        self.deliveries = sink.messages = Deliveries()
        self.kills = []                 # instants
        self.acknowledged = set()
        self.restarts = []              # seconds each start took

    def round(self, number, delay):
        record = self.relay.directory / f'acknowledged-{number}'
        load = subprocess.Popen(
            [self.generator, '-n', '1000000', '-c', str(CLIENTS), '-s', '3000', '-R', '2500', '-o', record,
             '-f', f'round{number}@client.test', '127.0.0.1', str(self.relay.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        # From the first acknowledgement on: on a busy machine the load may take its time to begin.
        places.await_true(lambda: record.exists() and record.stat().st_size > 0, 10, 'the load has begun')
        time.sleep(delay)
        self.relay.kill()
        self.kills.append(time.monotonic())
        # What the server said before its end has arrived by now, or it never will.
        time.sleep(0.02)
        load.kill()
        load.wait()
        lines = record.read_bytes().split(b'\n')[:-1]
        self.acknowledged.update((number, int(line)) for line in lines)
        record.unlink()
        begin = time.monotonic()
        self.relay.start()
        self.restarts.append(time.monotonic() - begin)

    def run(self, count, seed):
        chance = random.Random(seed)
        for number in range(count):
            self.round(number, chance.uniform(0.02, 0.35))
        self.relay.command('queue', 'flush')
        self.relay.await_queue_count(0, 120)
        return self.judge()

    def was_near_a_kill(self, when):
        unsettled = max(UNSETTLED_S, UNSETTLED_STARTS * max(self.restarts))
        if any(-0.05 < kill - when < unsettled for kill in self.kills):
            return True
        kill = min((kill for kill in self.kills if kill > when), default=None)
        return kill is not None and sum(when < other < kill for other in self.deliveries.instants) < UNSETTLED_MESSAGES

    def settled(self, key):
        """How long before the next kill the first copy was delivered."""
        first = min(self.deliveries.times[key])
        return min((kill - first for kill in self.kills if kill > first), default=0)

    def judge(self):
        delivered = self.deliveries.times
        lost = self.acknowledged - delivered.keys()
        if lost:
            raise Broken(f'{len(lost)} acknowledged messages are lost: {sorted(lost)[:10]}')
        if self.deliveries.wrong:
            raise Broken(f'delivered, but never sent so: {self.deliveries.wrong[:3]}')
        unasked = delivered.keys() - self.acknowledged
        for number in range(len(self.kills)):
            extra = sum(1 for key in unasked if key[0] == number)
            if extra > CLIENTS:
                raise Broken(f'round {number}: {extra} were delivered without an answer, of {CLIENTS} clients')
        twice = [key for key, times in delivered.items() if len(times) > 1]
        early = [key for key in twice if not all(map(self.was_near_a_kill, sorted(delivered[key])[:-1]))]
        if early:
            raise Broken(f'{len(early)} second copies of messages that no kill had interrupted: {early[:10]}, '
                         f'the first delivered {self.settled(early[0]):.2f} s before a kill; '
                         f'longest start {max(self.restarts):.2f} s')
        return {'kills': len(self.kills), 'acknowledged': len(self.acknowledged), 'lost': 0,
                'delivered': len(delivered), 'twice': len(twice),
                'without an answer': len(unasked), 'longest start': round(max(self.restarts), 2)}
