"""milter.py - a scripted mail filter: says what its script wants, remembers what it was told

    filter = Milter(lambda what, filter: {'M': [b'r']}.get(what, [b'c']))

The script gets the letter of each command (C H M R T L N B E U) and gives its replies, whole packets without their
length; an empty list: silence; None: it hangs up; bytes alone: sent as they are, whatever they are. `told` has
(letter, data) of all commands, `macros` what came before them.
"""

import socketserver
import struct
import threading


def texts(*words):
    return b''.join(word.encode() + b'\0' for word in words)


class Milter:
    def __init__(self, script=lambda what, it: [b'c'], actions=0x1ff, protocol=0, version=6, macros=b''):
        self.script = script
        self.negotiation = struct.pack('>III', version, actions, protocol) + macros
        self.protocol = protocol
        self.told, self.macros, self.offered, self.connections = [], {}, None, 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                outer.connections += 1
                try:
                    outer.talk(self.rfile, self.wfile)
                except (BrokenPipeError, ConnectionResetError):
                    pass

        self.server = socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def talk(self, reader, writer):
        while True:
            head = reader.read(4)
            if len(head) < 4:
                return
            packet = reader.read(struct.unpack('>I', head)[0])
            letter, data = chr(packet[0]), packet[1:]
            if letter == 'O':
                self.offered = struct.unpack('>III', data)
                replies = self.script('O', self) if self.script('O', self) not in ([b'c'], None) else None
                replies = replies or [b'O' + self.negotiation]
            elif letter == 'D':
                words = data[1:].split(b'\0')[:-1]
                self.macros.setdefault(chr(data[0]), {}).update(
                    (a.decode(), b.decode()) for a, b in zip(words[::2], words[1::2]))
                continue
            else:
                self.told.append((letter, data))
                if letter == 'Q':
                    return
                if letter == 'A' or self.is_quiet(letter):
                    continue
                replies = self.script(letter, self)
            if replies is None:
                return
            if isinstance(replies, bytes):
                writer.write(replies)
                continue
            for reply in replies:
                writer.write(struct.pack('>I', len(reply)) + reply)

    def is_quiet(self, letter):
        bits = {'C': 0x1000, 'H': 0x2000, 'M': 0x4000, 'R': 0x8000, 'T': 0x10000, 'U': 0x20000, 'N': 0x40000,
                'B': 0x80000, 'L': 0x80}
        return bool(self.protocol & bits.get(letter, 0))

    def stages(self):
        return ''.join(letter for letter, _ in self.told)

    def first(self, letter):
        return next(data for what, data in self.told if what == letter)

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
