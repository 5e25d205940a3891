"""filter.py - a content filter in front of the queue: SMTP comes in, is looked at, and goes on to another server

    with Filter(port_behind) as it: ...     it.port, or Filter(port_behind, path='/x/socket')

It passes commands and replies as they are (so it offers what the server behind it does, XFORWARD included), puts "X-Filtered: yes" in front
of each message, and refuses one with SPAM in a line of it: the server behind then never gets the end. it.passed counts messages that it
let through, it.heard has the commands of all connections. `dies_at` = n: it hangs up after so many bytes of a message's text.
"""

import socket
import threading

from harness import places


class Filter:
    def __init__(self, behind, path=None):
        self.behind, self.path, self.dies_at = behind, path, None
        self.heard, self.passed = [], 0
        self.port = None if path else places.free_port()
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(20)
        else:
            self.listener = socket.create_server(('127.0.0.1', self.port), backlog=20)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client):
        with client, socket.create_connection(('127.0.0.1', self.behind), timeout=places.patient(30)) as server:
            client.settimeout(places.patient(30))
            with client.makefile('rb') as commands, server.makefile('rb') as replies:
                try:
                    self._talk(client, server, commands, replies)
                except OSError:
                    pass

    def _reply(self, client, replies):
        """Passes one whole reply on; its code."""
        while True:
            line = replies.readline()
            client.sendall(line)
            if not line or line[3:4] != b'-':
                return line[:3]

    def _talk(self, client, server, commands, replies):
        self._reply(client, replies)
        while True:
            command = commands.readline()
            if not command:
                return
            self.heard.append(command.decode().rstrip())
            server.sendall(command)
            code = self._reply(client, replies)
            if code == b'354' and not self._text(client, server, commands, replies):
                return
            if not code or command.upper().startswith(b'QUIT'):
                return

    def _text(self, client, server, commands, replies):
        size, is_spam = 0, False
        server.sendall(b'X-Filtered: yes\r\n')
        while True:
            line = commands.readline()
            if not line:
                return False
            size += len(line)
            if self.dies_at is not None and size > self.dies_at:
                return False
            is_spam = is_spam or b'SPAM' in line
            if line == b'.\r\n':
                break
            server.sendall(line)
        if is_spam:
            client.sendall(b'550 5.7.1 this is spam\r\n')
            return False
        server.sendall(line)
        if self._reply(client, replies) == b'250':
            self.passed += 1
        return True
