"""dns.py - a small name server on loopback that does what a test wants, wrong things included

    dns = NameServer('''
        a.test          A 192.0.2.1
        *.list.test     A 127.0.0.2
        dead.test       SERVFAIL
    ''')
    dns.main()                  main.cf lines that make a Server ask it for everything
    dns.asked('a.test', 'A')    how often it was asked
    dns.add('b.test MX 10 a.test'); dns.forget('a.test'); dns.down(); dns.up(); dns.stop()

One record a line: "name [ttl] TYPE data", with the types of TYPES; "*.zone" stands for every name below that has no
lines of its own. In place of a record:

    name SERVFAIL | REFUSED     that code
    name DROP                   no answer, ever
    name SLOW 300               answers after so many milliseconds
    name TRUNCATE               the whole answer only over TCP
    name WRONGID                answers with another id, as a forger would
    name GARBAGE                bytes that are no DNS message
    name SERVFAIL MX            that code for questions of this type alone (REFUSED too)

It answers as a resolver does (recursion available, CNAMEs followed), so it is asked by dns_forward; what it does not
have does not exist.
"""

import collections
import socket
import struct
import threading
import time

from harness import places

TYPES = {'A': 1, 'NS': 2, 'CNAME': 5, 'SOA': 6, 'PTR': 12, 'MX': 15, 'TXT': 16, 'AAAA': 28, 'SRV': 33, 'TLSA': 52}
NAMES = {number: name for name, number in TYPES.items()}
SO_TIMESTAMPNS = 35     # (socket(7); Python does not name it)
MANNERS = {'SERVFAIL', 'REFUSED', 'DROP', 'SLOW', 'TRUNCATE', 'WRONGID', 'GARBAGE'}
TTL = 60


def wire_name(name):
    labels = [label.encode() for label in name.rstrip('.').split('.') if label]
    return b''.join(bytes([len(label)]) + label for label in labels) + b'\0'


def split_words(line):
    """Words; "a text in quotes" is one, marked by a NUL in front."""
    words, rest = [], line.strip()
    while rest and not rest.startswith(';'):
        if rest.startswith('"'):
            text, _, rest = rest[1:].partition('"')
            words.append('\0' + text)
        else:
            word, _, rest = rest.partition(' ')
            words.append(word)
        rest = rest.strip()
    return words


def wire_data(kind, words):
    if kind == 'A':
        return socket.inet_pton(socket.AF_INET, words[0])
    if kind == 'AAAA':
        return socket.inet_pton(socket.AF_INET6, words[0])
    if kind in ('NS', 'CNAME', 'PTR'):
        return wire_name(words[0])
    if kind == 'MX':
        return struct.pack('>H', int(words[0])) + wire_name(words[1])
    if kind == 'SRV':
        return struct.pack('>HHH', *map(int, words[:3])) + wire_name(words[3])
    if kind == 'TXT':
        pieces = []
        for word in words:
            text = word.lstrip('\0').encode()
            pieces += [text[i:i + 255] for i in range(0, len(text), 255)] or [b'']
        return b''.join(bytes([len(piece)]) + piece for piece in pieces)
    if kind == 'TLSA':
        return bytes(map(int, words[:3])) + bytes.fromhex(''.join(words[3:]))
    raise ValueError(f'no such type: {kind}')


def question_of(packet):
    """(name, type number, the question's own bytes)"""
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode('latin-1'))
        at += 1 + packet[at]
    kind, = struct.unpack('>H', packet[at + 1:at + 3])
    return '.'.join(labels).lower(), kind, packet[12:at + 5]


class NameServer:
    def __init__(self, zone='', address='127.0.0.1', port=None):
        self.lock = threading.Lock()
        self.records = collections.defaultdict(list)    # name -> [(type, ttl, rdata)]
        self.manners = {}                               # name -> {type, or 0 for all: [word, ...]}
        self.counts = collections.Counter()             # (name, type) -> how often
        self.answered = {}                              # (name, type) -> when last, by the clock of the wall
        self.add(zone)
        self.address = address
        self.is_up, self.is_stopping = True, False
        self.tcp = socket.socket()
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(20):                             # a port that is free for both
            self.port = port or places.free_port()
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            try:
                self.udp.bind((address, self.port))
                self.tcp.bind((address, self.port))
                break
            except OSError:
                self.udp.close()
        self.tcp.listen(50)
        self.udp.settimeout(0.1)                        # to see is_stopping
        self.tcp.settimeout(0.1)
        self.threads = [threading.Thread(target=serve, daemon=True)
                        for serve in (self._serve_udp, self._serve_tcp)]
        for thread in self.threads:
            thread.start()

    def main(self):
        """All names, those of loopback addresses too, which the resolver would else answer itself."""
        server = f'{self.address}@{self.port}'
        return {'dns_forward': server, 'dns_stub': f'127.in-addr.arpa {server}', 'dns_validation': 'no'}

    # ---- what it knows ----

    def add(self, zone):
        with self.lock:
            for line in zone.splitlines():
                words = split_words(line)
                if words:
                    self._add(words[0].rstrip('.').lower(), words[1:])

    def _add(self, name, words):
        if words[0] in MANNERS:
            is_of_type = words[0] in ('SERVFAIL', 'REFUSED') and len(words) > 1
            self.manners.setdefault(name, {})[TYPES[words[1]] if is_of_type else 0] = words
            return
        ttl = TTL
        if words[0].isdigit():
            ttl, words = int(words[0]), words[1:]
        if words[0] == 'IN':
            words = words[1:]
        self.records[name].append((TYPES[words[0]], ttl, wire_data(words[0], words[1:])))

    def forget(self, name):
        with self.lock:
            self.records.pop(name, None)
            self.manners.pop(name, None)

    def asked(self, name, kind):
        with self.lock:
            return self.counts[name.rstrip('.').lower(), kind]

    def down(self):
        """Hears nothing any more."""
        self.is_up = False

    def up(self):
        self.is_up = True

    def stop(self):
        self.is_stopping = True
        for thread in self.threads:
            thread.join(2)
        self.udp.close()
        self.tcp.close()

    # ---- what it says ----

    def _entry(self, table, name):
        """The name's own entry in the table, else that of the nearest wildcard."""
        if name in self.records or name in self.manners:
            return table.get(name)
        labels = name.split('.')
        for cut in range(1, len(labels) + 1):
            star = '.'.join(['*', *labels[cut:]])
            if star in self.records or star in self.manners:
                return table.get(star)
        return None

    def _find(self, name, kind):
        """(rcode, [(owner, type, ttl, rdata)])"""
        found, seen = [], set()
        while name not in seen:
            seen.add(name)
            entries = self._entry(self.records, name)
            if entries is None:
                below = any(other.endswith('.' + name) for other in self.records)
                return (0 if below or found else 3), found
            here = [(name, *entry) for entry in entries if entry[0] == kind]
            alias = [(name, *entry) for entry in entries if entry[0] == TYPES['CNAME']]
            if here or not alias:
                return 0, found + here
            found += alias[:1]
            data, at, labels = alias[0][3], 0, []
            while data[at]:
                labels.append(data[at + 1:at + 1 + data[at]].decode())
                at += 1 + data[at]
            name = '.'.join(labels).lower()
        return 0, found

    def _answer(self, packet, is_tcp, came=float('inf')):
        """The answer's bytes; None: there is none. And how long it takes, in seconds."""
        name, kind, question = question_of(packet)
        with self.lock:
            # On a busy machine a resolver asks once more before it has our answer: one question, sent twice.
            if came > self.answered.get((name, kind), 0):
                self.counts[name, NAMES.get(kind, str(kind))] += 1
            manners = self._entry(self.manners, name) or {}
            manner = manners.get(kind) or manners.get(0) or ['']
            rcode, found = self._find(name, kind)
        number, = struct.unpack('>H', packet[:2])
        flags = 0x8180
        if manner[0] == 'DROP' or not self.is_up:
            return None, 0
        if manner[0] == 'GARBAGE':
            return packet[:2] + b'\x81\x80\0\1\0\5' + b'\xff' * 40, 0
        if manner[0] in ('SERVFAIL', 'REFUSED'):
            rcode, found = (2 if manner[0] == 'SERVFAIL' else 5), []
        if manner[0] == 'TRUNCATE' and not is_tcp:
            flags, found = flags | 0x0200, []
        if manner[0] == 'WRONGID':
            number ^= 0x5555
        body = b''.join(wire_name(owner) + struct.pack('>HHIH', kind_, 1, ttl, len(data)) + data
                        for owner, kind_, ttl, data in found)
        authority, count = b'', 0
        if rcode in (0, 3) and not any(record[1] == kind for record in found):
            soa = wire_name('ns.invalid') + wire_name('root.invalid') + struct.pack('>5I', 1, 1, 1, 1, TTL)
            # of the name itself: whoever is above may be in another zone
            authority = wire_name(name.partition('.')[2]) + struct.pack('>HHIH', 6, 1, TTL, len(soa)) + soa
            count = 1
        header = struct.pack('>6H', number, flags | rcode, 1, len(found), count, 0)
        delay = int(manner[1]) / 1000 if manner[0] == 'SLOW' else 0
        return header + question + body + authority, delay

    def _later(self, delay, send, answer):
        def do():
            time.sleep(delay)
            try:
                send(answer)
            except OSError:
                pass
        threading.Thread(target=do, daemon=True).start()

    def _serve_udp(self):
        while not self.is_stopping:
            try:
                packet, extra, _, peer = self.udp.recvmsg(4096, 64)
                seconds, nanoseconds = struct.unpack('@ll', extra[0][2])
                answer, delay = self._answer(packet, False, seconds + nanoseconds / 1e9)
                key = question_of(packet)[:2]
            except (OSError, IndexError, struct.error):
                continue
            if answer is None:
                continue

            def send(bytes_, to=peer, key=key):
                with self.lock:
                    self.answered[key] = time.time()
                self.udp.sendto(bytes_, to)

            if delay:
                self._later(delay, send, answer)
            else:
                send(answer)

    def _serve_tcp(self):
        while not self.is_stopping:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                continue
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection):
        with connection:
            connection.settimeout(5)
            try:
                while True:
                    head = connection.recv(2, socket.MSG_WAITALL)
                    if len(head) < 2:
                        return
                    packet = connection.recv(struct.unpack('>H', head)[0], socket.MSG_WAITALL)
                    answer, delay = self._answer(packet, True)
                    if answer is None:
                        return
                    time.sleep(delay)
                    connection.sendall(struct.pack('>H', len(answer)) + answer)
            except (OSError, IndexError, struct.error):
                return
