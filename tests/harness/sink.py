"""sink.py - the next hop of a test: a small SMTP server whose replies the test decides

It takes every message, keeps what it got exactly as it came over the wire, and can be told to answer
differently: sink.replies['RCPT'] = '550 5.1.1 no such user', or for one recipient
'RCPT=bob@relay.test'. 'DOT' is the reply after the final dot, 'GREETING' the first one. A reply of
'close' closes the connection instead, 'silence' says nothing, 'late 250 ok' says the rest a second later, 'drip 250 ok'
says it byte by byte, five a second, 'slowly 250-a' line by line, two a second. 'CONTENT' is no reply: 'sip' reads what comes
after 354 slowly, up to 32 KiB at a time, five times a second.
A `times` of n makes it last for n replies only.

After LHLO it is an LMTP server (RFC 2033): after the final dot each recipient has a reply, 'DOT=bob@relay.test'
or 'DOT', and the message counts with those that it was taken for.
"""

import base64
import hashlib
import hmac
import socket
import ssl
import threading
import time

from harness import places

KEYWORDS = ['PIPELINING', 'SIZE 52428800', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN']

DEFAULT_REPLIES = {
    'CONTENT': '',
    'GREETING': '220 core.inside.test ESMTP', 'HELO': '250 core.inside.test',
    'MAIL': '250 2.1.0 ok', 'RCPT': '250 2.1.5 ok', 'DATA': '354 go on',
    'DOT': '250 2.0.0 taken', 'RSET': '250 2.0.0 ok', 'NOOP': '250 2.0.0 ok',
    'QUIT': '221 2.0.0 bye', 'STARTTLS': '220 2.0.0 go on', 'XFORWARD': '250 2.0.0 ok', 'BDAT': '502 5.5.1 not here',
}


# Who may sign in where AUTH is offered; then nobody else may send.
USER, PASSWORD = 'relay', 'tanstaaftanstaaf'


class Message:
    def __init__(self, helo, sender, host):
        self.helo = helo
        self.host = host                # the address of ours that was connected to
        self.sender = sender            # "<a@b> SIZE=12": everything after MAIL FROM:
        self.recipients = []            # the same of each RCPT TO:
        self.wire = b''                 # after 354, with dots as they came, and the final one
        self.is_tls = False
        self.user = None                # who had signed in

    @property
    def data(self):
        """The message itself: without the final dot, and with the dots of lines taken off."""
        text = self.wire[:-len(b'.\r\n')]
        return b'\r\n'.join(line[1:] if line.startswith(b'.') else line
                            for line in text.split(b'\r\n'))

    @property
    def header(self):
        return self.data.partition(b'\r\n\r\n')[0] + b'\r\n'

    @property
    def body(self):
        return self.data.partition(b'\r\n\r\n')[2]


class Sink:
    def __init__(self, port=None, address='127.0.0.1'):
        self.address, self.port = address, port or places.free_port()
        self.messages = []
        self.heard = []                 # every command, of all connections
        self.connections = 0
        self.keywords = list(KEYWORDS)
        self.iterations = 4096          # that SCRAM is said to need
        self.certificate = 'core.inside.test'   # its name; shown when STARTTLS is among the keywords
        self.replies = {}
        self.lock = threading.Lock()
        self.listener = None
        self.open = set()

    # ---- life ----

    def start(self):
        self.listener = socket.create_server((self.address, self.port), backlog=200)
        self.listener.settimeout(None)          # whatever socket.setdefaulttimeout() says to others
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        if self.listener:
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None
        with self.lock:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    # ---- what a test says and asks ----

    def reply(self, key, text, times=None):
        """From now on, `text` instead of the usual reply; None: the usual one again."""
        with self.lock:
            if text is None:
                self.replies.pop(key, None)
            else:
                self.replies[key] = [text, times]

    def _reply_for(self, *keys):
        with self.lock:
            for key in keys:
                if key in self.replies:
                    entry = self.replies[key]
                    if entry[1] is not None:
                        entry[1] -= 1
                        if entry[1] == 0:
                            del self.replies[key]
                    return entry[0]
        return DEFAULT_REPLIES.get(keys[-1], '500 5.5.2 what?')

    # ---- the server ----

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connections += 1
                self.open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        session = Session(self, connection)
        try:
            session.run()
        except (OSError, EOFError, ssl.SSLError):
            pass
        finally:
            with self.lock:
                self.open.discard(connection)
            session.socket.close()
            connection.close()


def address_of(path):
    return path.split('>')[0].strip('<')


class Sips:
    """A stream that is read slowly."""

    def __init__(self, source):
        self.source, self.rest = source, b''
        source.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)   # nor does the kernel read ahead

    def readline(self):
        while b'\n' not in self.rest:
            time.sleep(0.2)
            some = self.source.recv(32768)
            if not some:
                return self.rest
            self.rest += some
        line, _, self.rest = self.rest.partition(b'\n')
        return line + b'\n'


class Session:
    def __init__(self, sink, connection):
        self.sink, self.socket = sink, connection
        self.stream = connection.makefile('rb')
        self.helo, self.message, self.is_tls, self.is_lmtp = '', None, False, False
        self.offers_auth, self.user = False, None

    def say(self, text):
        if text == 'close':
            raise EOFError
        if text == 'silence':
            return
        if text.startswith('late '):
            time.sleep(1)
            text = text[len('late '):]
        pause, pieces = 0, [text + '\n']
        if text.startswith('drip '):
            pause, pieces = 0.2, list(text[len('drip '):] + '\n')
        elif text.startswith('slowly '):
            pause, pieces = 0.5, (text[len('slowly '):] + '\n').splitlines(True)
        for piece in pieces[:-1]:
            self.socket.sendall(piece.replace('\n', '\r\n').encode())
            time.sleep(pause)
        text = pieces[-1][:-1]
        self.socket.sendall(text.replace('\n', '\r\n').encode() + b'\r\n')

    def run(self):
        self.say(self.sink._reply_for('GREETING'))
        while True:
            line = self.stream.readline()
            if not line.endswith(b'\n'):
                return
            text = line.decode('utf-8', 'replace').rstrip('\r\n')
            self.sink.heard.append(text)
            verb = text.split(' ')[0].upper()
            handler = getattr(self, 'do_' + verb.lower(), None)
            if handler:
                handler(text)
            else:
                self.say(self.sink._reply_for(verb))
            if verb == 'QUIT':
                return

    def do_ehlo(self, text):
        self.helo = text
        with self.sink.lock:
            is_scripted = 'EHLO' in self.sink.replies
        if is_scripted:
            reply = self.sink._reply_for('EHLO')
            self.offers_auth = ' AUTH ' in reply.replace('-', ' ')
            self.say(reply)
            return
        words = [k for k in self.sink.keywords if not (self.is_tls and k == 'STARTTLS')]
        self.offers_auth = any(word.startswith('AUTH') for word in words)
        lines = ['core.inside.test', *words]
        self.say('\n'.join(f'250{" " if n == len(lines) - 1 else "-"}{line}'
                           for n, line in enumerate(lines)))

    def do_lhlo(self, text):
        self.is_lmtp = True
        self.do_ehlo(text)

    def do_helo(self, text):
        self.helo = text
        self.say(self.sink._reply_for('HELO'))

    def do_starttls(self, text):
        reply = self.sink._reply_for('STARTTLS')
        self.say(reply)
        if not reply.startswith('220'):
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*places.certificate(self.sink.certificate))
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.stream = self.socket.makefile('rb')
        self.is_tls = True

    # ---- AUTH (RFC 4954) ----

    def ask(self, challenge):
        self.say(('334 ' + base64.b64encode(challenge).decode()).rstrip())
        line = self.stream.readline().rstrip(b'\r\n')
        self.sink.heard.append(line.decode('ascii', 'replace'))
        return base64.b64decode(line, validate=True)

    def do_auth(self, text):
        _, mechanism, *first = text.split(' ')
        first = base64.b64decode(first[0], validate=True) if first else None
        try:
            user = getattr(self, 'auth_' + mechanism.lower().replace('-', '_'))(first)
        except (ValueError, AttributeError):
            user = None
        with self.sink.lock:
            is_scripted = 'AUTH' in self.sink.replies
        if is_scripted:
            self.say(self.sink._reply_for('AUTH'))
        elif user:
            self.user = user
            self.say('235 2.7.0 welcome')
        else:
            self.say('535 5.7.8 that is not you')

    def auth_plain(self, first):
        _, user, password = (self.ask(b'') if first is None else first).decode().split('\0')
        return password == PASSWORD and user

    def auth_login(self, first):
        user = self.ask(b'Username:') if first is None else first
        return self.ask(b'Password:').decode() == PASSWORD and user.decode()

    def auth_cram_md5(self, first):
        challenge = b'<1896.697170952@core.inside.test>'
        user, digest = self.ask(challenge).decode().split(' ')
        return digest == hmac.new(PASSWORD.encode(), challenge, 'md5').hexdigest() and user

    def auth_scram_sha_1(self, first):
        return self.scram(first, 'sha1')

    def auth_scram_sha_256(self, first):
        return self.scram(first, 'sha256')

    def scram(self, first, name):
        """RFC 5802 3, without channel binding."""
        def mac(key, message):
            return hmac.new(key, message, name).digest()

        gs2, bare = first[:3], first[3:]
        fields = dict(part.split('=', 1) for part in bare.decode().split(','))
        salt, nonce = b'W22ZaJ0SNY7soEsUEjb6gQ==', fields['r'] + 'ours'
        server_first = f'r={nonce},s={salt.decode()},i={self.sink.iterations}'
        final = self.ask(server_first.encode())
        without_proof, _, proof = final.rpartition(b',p=')
        if without_proof != b'c=' + base64.b64encode(gs2) + b',r=' + nonce.encode():
            return None
        salted = hashlib.pbkdf2_hmac(name, PASSWORD.encode(), base64.b64decode(salt), 4096)
        everything = b','.join([bare, server_first.encode(), without_proof])
        client_key = mac(salted, b'Client Key')
        signature = mac(hashlib.new(name, client_key).digest(), everything)
        if base64.b64decode(proof) != bytes(a ^ b for a, b in zip(client_key, signature)):
            return None
        self.ask(b'v=' + base64.b64encode(mac(mac(salted, b'Server Key'), everything)))
        return fields['n']

    def do_mail(self, text):
        reply = self.sink._reply_for('MAIL')
        if self.offers_auth and not self.user:
            reply = '530 5.7.0 sign in first'
        if reply.startswith('2'):
            host = self.socket.getsockname()[0]
            self.message = Message(self.helo, text.partition(':')[2].strip(), host)
            self.message.is_tls, self.message.user = self.is_tls, self.user
        self.say(reply)

    def do_rcpt(self, text):
        given = text.partition(':')[2].strip()
        reply = self.sink._reply_for(f'RCPT={address_of(given)}', 'RCPT')
        if not self.message:
            reply = '503 5.5.1 MAIL first'
        elif reply.startswith(('2', 'late 2', 'drip 2', 'slowly 2')):
            self.message.recipients.append(given)
        self.say(reply)

    def do_rset(self, text):
        self.message = None
        self.say(self.sink._reply_for('RSET'))

    def do_data(self, text):
        reply = self.sink._reply_for('DATA')
        if reply.startswith('354') and not (self.message and self.message.recipients):
            reply = '503 5.5.1 RCPT first'
        self.say(reply)
        if not reply.startswith('354'):
            return
        lines = []
        if self.sink._reply_for('CONTENT') == 'sip':
            self.stream = Sips(self.socket)
        while True:
            line = self.stream.readline()
            if not line.endswith(b'\n'):
                raise EOFError
            lines.append(line)
            # Strictly CR LF "." CR LF, so that a smuggled end would show as part of the text.
            if line == b'.\r\n' and (len(lines) == 1 or lines[-2].endswith(b'\r\n')):
                break
        message, self.message = self.message, None
        message.wire = b''.join(lines)
        if self.is_lmtp:
            replies = [self.sink._reply_for(f'DOT={address_of(r)}', 'DOT') for r in message.recipients]
            message.recipients = [r for r, reply in zip(message.recipients, replies) if reply.startswith('2')]
        else:
            replies = [self.sink._reply_for('DOT')]
        if any(reply.startswith(('2', 'late 2')) for reply in replies):
            with self.sink.lock:
                self.sink.messages.append(message)
        self.say('\n'.join(replies))
