"""dialogue.py - one SMTP connection, as the client sees it: lines in, bytes out, a transcript"""

import re
import socket
import ssl
import time

from harness.places import Broken, patient


REFUSAL_CODE = re.compile(r' \(([0-9A-HJKMNP-TV-Z]{7})\)$')


class Dialogue:
    def __init__(self, port, address='127.0.0.1', source=None, timeout=10):
        self.timeout = patient(timeout)
        self.transcript = []
        self.code = None        # of the last refusal, for forepost explain
        self.received = b''
        self.socket = socket.create_connection(
            (address, port), timeout=self.timeout, source_address=(source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _tell(self, direction, data):
        text = data.decode('utf-8', 'backslashreplace')
        self.transcript.append(f'{direction} {text if len(text) < 300 else text[:300] + "..."!r}')

    def send(self, data):
        self._tell('C', data)
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.transcript.append('- closed while sending')

    def line(self):
        """The next reply line without its CRLF; None when the server closed the connection."""
        end = time.monotonic() + self.timeout
        while b'\n' not in self.received:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b''
            except TimeoutError:
                raise Broken(f'no reply within {self.timeout} s')
            if not data:
                if self.received:
                    raise Broken(f'closed within a line: {self.received!r}')
                self.transcript.append('- closed')
                return None
            self.received += data
        line, self.received = self.received.split(b'\n', 1)
        self._tell('S', line)
        if not line.endswith(b'\r'):
            raise Broken(f'a reply line without CR: {line!r}')
        text = line[:-1].decode('utf-8', 'backslashreplace')
        found = REFUSAL_CODE.search(text)
        if found:               # random, so no test expects it in the text
            self.code, text = found.group(1), text[:found.start()]
        return text

    def reply(self):
        """The next whole reply as a list of lines; None when the server closed the connection."""
        lines = []
        while True:
            line = self.line()
            if line is None:
                if lines:
                    raise Broken(f'closed within a reply: {lines}')
                return None
            lines.append(line)
            if len(line) < 4 or line[3] != '-':
                return lines

    def ask(self, command, expected):
        """Sends a command and returns the last line of its reply, which must start with `expected`."""
        self.send(command.encode() + b'\r\n')
        reply = self.reply()
        if reply is None or not reply[-1].startswith(expected):
            raise Broken(f'{command}: {reply}, not {expected}\n' + '\n'.join(self.transcript))
        return reply[-1]

    def is_quiet(self, seconds):
        """True if the server says nothing, and does not close, for that long."""
        if self.received:
            return False
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return True
        except ConnectionResetError:
            data = b''
        self.received += data
        self._tell('S', data)
        return False

    def starttls(self, certificate=None, **options):
        """The handshake, after the server's 220. Trusts every certificate: tests make their own. `certificate`: the
        client's, with its key, as files."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(*certificate)
        self.socket.settimeout(self.timeout)
        self.socket = context.wrap_socket(self.socket, **options)
        self.transcript.append(f'- {self.socket.version()}')

    def close(self):
        self.socket.close()
