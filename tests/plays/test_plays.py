"""Plays: SMTP conversations as data. Each NN-name.play is one test against a real `forepost serve`.

    /usr/bin/python3 -m pytest tests/plays                all of them (build/forepost, or $FOREPOST)
    /usr/bin/python3 -m pytest tests/plays -k smuggling   some

A play begins with a comment that says what it shows, and where that is written (RFC, Postfix
parameter). Then come sections:

    == main.cf          lines that replace those of RELAY below, or are added; "unset NAME" removes one
    == master.cf        instead of one smtpd on @PORT@
    == dns              what the DNS says, in the lines of harness/dns.py: the server asks nobody else, and looks up
                        the names of clients (127.0.0.1 is "1.0.0.127.in-addr.arpa PTR ...")
    == file NAME        a file in the configuration directory (relay_domains, relay_recipients and
                        transport have contents already, see FILES)
    == play             steps

Files come into place when their section is reached; the server starts at the first step that needs
it, so a file section after that is an edit under its feet. In all texts @DIR@ is the server's
directory, @PORT@ its port, @PORT2@ another that is free, @SINK@ the port of the scripted next hop (harness/sink.py), @CERT@ and
@KEY@ a certificate with its key, @UID@ and @GID@ the user as whom it runs.

Steps, one a line ("#" begins a comment):

    C: text             a line to send. Lines that follow each other go out in one packet
    C*50: RCPT TO:<u{n}@relay.test>     the line 50 times, {n} counts from 1
    B: bytes            the same without CRLF at the end. In C: and B: \\r \\n \\t \\0 \\\\ \\xNN mean
                        what they do in C, and {a*3000} is 3000 times "a"
    S: 250 2.1.5 *      one line of a reply. "*" stands for any text, all else for itself
    S*50: 250 *         the same 50 times
    R: 250 *            a whole reply, however many lines: the code of all, and the last line
    until: 250 *        one line of a reply; when it says something else the lines before are sent again, for a while
    has: PIPELINING     the last whole reply has this line after its code ("*" as above)
    hasnot: CHUNKING    it has none such
    closed              the server closes the connection, and says nothing before
    quiet 200ms         the server says nothing for that long
    pause 50ms          send what is waiting, and wait
    starttls            the TLS handshake, after "S: 220"
    connect NAME        another connection, which the next steps talk over; "connect NAME from
                        127.0.0.2", "connect NAME port @PORT2@"
    with NAME           back to an earlier one (the first is called "first")
    close               hang up

    sink VERB: reply    what the next hop answers from now on (GREETING EHLO MAIL RCPT DATA DOT ...,
                        RCPT=user@domain); "sink DOT*1: 451 later" only once; \\n: another line; empty: as usual again
    sink offers: WORDS  its EHLO keywords, instead of all, or "A | B C" when they have words of their own; "sink up",
                        "sink down"
    delivered: N        the next hop has N messages by now (waits for them)
    got from: <a@b>     of the last message that it got: MAIL FROM, with parameters
    got said: MAIL *    a command that it heard, in any session (waits for it); "*" as above; "got notsaid:"
    got to: <a@b> <c@d> its recipients, with parameters, sorted
    got has: regex      in the message as it came over the wire; "got hasnot:"
    got clean           no bare CR, no bare LF, one end; "got tls": it came encrypted
    got signed: USER    who had signed in (harness/sink.py has the password); "nobody"
    got body: bytes     its body, exactly, as a text (dots taken off)
    spool: N            messages in the queue (waits for it)
    maildir NAME: N     messages in @DIR@/mail/NAME (waits for it); "maildir NAME has: regex"
    log: regex          a log line (waits for it); "log hasnot: regex"
    dns add: LINE       from now on; "dns forget: NAME"; "dns down" (it hears nothing), "dns up"
    asked NAME TYPE: N  the name server was asked that often (waits for it)
    signal HUP          to the supervisor
    restart             stop and start the server

    $ ARGUMENTS         `forepost ARGUMENTS -c DIR`; what it must come to is said by the next lines:
    exit: N             its exit code (0 when not said)
    out: regex          in its output (stdout and stderr); "out hasnot: regex"; "out until: regex": it is run again
                        until that is so

At the end of each play all must be as it should: no reply unread, the server ends cleanly after
SIGTERM, no sanitizer's report, no broken check.
"""

import os
import pathlib
import re
import signal
import time

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.dns import NameServer
from harness.server import MASTER, Server, parse_main_cf
from harness.sink import Sink

RELAY = {
    'smtpd_helo_required': 'yes',
    'relay_domains': 'hash:@DIR@/etc/relay_domains',
    'relay_recipient_maps': 'hash:@DIR@/etc/relay_recipients',
    'transport_maps': 'hash:@DIR@/etc/transport',
    'local_recipient_maps': '',
    'local_transport': 'error:no local delivery on this relay',
    'smtpd_relay_restrictions': 'permit_mynetworks, reject_unauth_destination',
}
FILES = {
    'relay_domains': 'relay.test OK\nother.test OK\n',
    'relay_recipients': 'editor@relay.test OK\nbob@relay.test OK\n@other.test OK\n',
    'transport': 'relay.test relay:[127.0.0.1]:@SINK@\nother.test relay:[127.0.0.1]:@SINK@\n',
}

PLAYS = sorted(pathlib.Path(__file__).parent.glob('*.play'))
REPEAT = re.compile(r'\{([^{}]+)\*(\d+)\}')
ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|.)')
PLAIN_ESCAPES = {'r': b'\r', 'n': b'\n', 't': b'\t', '0': b'\0', '\\': b'\\'}


def parse_bytes(text, number=None):
    """The bytes that a C: or B: line means."""
    if number is not None:
        text = text.replace('{n}', str(number))
    text = REPEAT.sub(lambda m: m.group(1) * int(m.group(2)), text)
    out, end = b'', 0
    for match in ESCAPE.finditer(text):
        what = match.group(1)
        if what[0] != 'x' and what not in PLAIN_ESCAPES:
            raise ValueError(f'unknown escape \\{what}')
        out += text[end:match.start()].encode()
        out += bytes([int(what[1:], 16)]) if what[0] == 'x' else PLAIN_ESCAPES[what]
        end = match.end()
    return out + text[end:].encode()


def matches(pattern, line):
    return re.fullmatch('.*'.join(map(re.escape, pattern.split('*'))), line, re.S) is not None


def parse_time(text):
    number, unit = re.fullmatch(r'([\d.]+)(ms|s)', text).groups()
    return float(number) / (1000 if unit == 'ms' else 1)


def parse_sections(path):
    """Yields (kind, argument, [(line number, text)]) of each section."""
    section = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith('== '):
            if section:
                yield section
            kind, _, argument = line[3:].strip().partition(' ')
            section = (kind, argument, [])
        elif section:
            section[2].append((number, line))
        elif line.strip() and not line.startswith('#'):
            raise ValueError(f'{path.name}:{number}: text before the first section')
    if section:
        yield section


class Stage:
    """One play while it is acted."""

    # What a step may look like, and the method that does it; see the top of this file.
    STEPS = [
        (r'C(?:\*(\d+))?:(?: (.*))?', 'send_line'),
        (r'B: (.*)', 'send_bytes'),
        (r'S(?:\*(\d+))?: (.*)', 'expect_line'),
        (r'R: (.*)', 'expect_reply'),
        (r'until: (.*)', 'send_until'),
        (r'has: (.*)', 'reply_has'),
        (r'hasnot: (.*)', 'reply_has_not'),
        (r'closed', 'expect_close'),
        (r'quiet (\S+)', 'expect_quiet'),
        (r'pause (\S+)', 'pause'),
        (r'starttls', 'starttls'),
        (r'connect (\S+)(?: from (\S+))?(?: port (\S+))?', 'connect'),
        (r'with (\S+)', 'switch'),
        (r'close', 'hang_up'),
        (r'sink up', 'sink_up'),
        (r'sink down', 'sink_down'),
        (r'sink offers:(.*)', 'sink_offers'),
        (r'sink ([A-Z]+(?:=[^*:]+)?)(?:\*(\d+))?:(.*)', 'sink_reply'),
        (r'delivered: (\d+)', 'expect_delivered'),
        (r'got from: (.*)', 'got_sender'),
        (r'got to: (.*)', 'got_recipients'),
        (r'got said: (.*)', 'got_said'),
        (r'got notsaid: (.*)', 'got_not_said'),
        (r'got has: (.*)', 'got_has'),
        (r'got clean', 'got_clean'),
        (r'got tls', 'got_tls'),
        (r'got signed: (.*)', 'got_signed'),
        (r'got hasnot: (.*)', 'got_has_not'),
        (r'got body: (.*)', 'got_body'),
        (r'spool: (\d+)', 'expect_spool'),
        (r'maildir (\S+): (\d+)', 'expect_maildir'),
        (r'maildir (\S+) has: (.*)', 'maildir_has'),
        (r'dns add: (.*)', 'dns_add'),
        (r'dns forget: (.*)', 'dns_forget'),
        (r'dns (up|down)', 'dns_switch'),
        (r'asked (\S+) ([A-Z]+): (\d+)', 'expect_asked'),
        (r'log: (.*)', 'expect_log'),
        (r'log hasnot: (.*)', 'expect_no_log'),
        (r'signal (\S+)', 'send_signal'),
        (r'restart', 'restart'),
        (r'start', 'need_server'),
        (r'\$ (.*)', 'run_command'),
        (r'exit: (\d+)', 'expect_exit'),
        (r'out: (.*)', 'expect_out'),
        (r'out hasnot: (.*)', 'expect_no_out'),
        (r'out until: (.*)', 'await_out'),
    ]

    def __init__(self, path):
        self.path = path
        self.sink = Sink()
        self.dns = None
        self.server = Server(path.stem[:2], main=RELAY)
        certificate, key = places.certificate()
        owner = places.user()
        self.server.words.update({
            '@SINK@': str(self.sink.port), '@PORT2@': str(places.free_port()), '@CERT@': str(certificate), '@KEY@': str(key),
            '@UID@': str(owner.pw_uid if owner else os.getuid()),
            '@GID@': str(owner.pw_gid if owner else os.getgid()),
        })
        for name, text in FILES.items():
            self.server.write(name, text)
        self.is_started = False
        self.is_sink_wanted = True
        self.dialogues = {}
        self.current = None
        self.waiting = self.sent = b''
        self.last_reply = []
        self.command, self.result = [], None            # of the last "$"
        self.is_exit_expected = True

    # ---- the play as a whole ----

    def act(self):
        for kind, argument, lines in parse_sections(self.path):
            text = '\n'.join(line for _, line in lines) + '\n'
            if kind == 'main.cf':
                self.configure(text)
            elif kind == 'master.cf':
                self.server.master = text
                self.server.write_configuration()
            elif kind == 'dns':
                self.dns = NameServer(text.replace('@SINK@', str(self.sink.port)))
                self.server.words['@DNS@'] = str(self.dns.port)
                self.server.write_configuration(**self.dns.main(), smtpd_peername_lookup='yes')
            elif kind == 'file':
                self.server.write(argument, text)
            elif kind == 'play':
                self.steps(lines)
            else:
                raise ValueError(f'no such section: {kind}')
        self.flush()
        self.settle_exit()
        for name, dialogue in self.dialogues.items():
            if dialogue and not dialogue.is_quiet(0.001) and dialogue.received:
                raise AssertionError(f'connection {name}: unread: {dialogue.received!r}')
            if dialogue:
                dialogue.close()
        self.server.stop()
        self.sink.stop()

    def configure(self, text):
        for line in re.findall(r'^unset (\S+)$', text, re.M):
            self.server.main[line] = None
        self.server.main.update(parse_main_cf(re.sub(r'^unset .*$', '', text, flags=re.M)))
        self.server.write_configuration()

    def steps(self, lines):
        for number, line in lines:
            if not line.strip() or line.startswith('#'):
                continue
            for pattern, method in self.STEPS:
                match = re.fullmatch(pattern, self.server.filled_in(line))
                if match:
                    break
            else:
                raise ValueError(f'{self.path.name}:{number}: no such step: {line}')
            try:
                if method not in ('send_line', 'send_bytes'):
                    self.flush()
                if method not in ('expect_exit', 'expect_out', 'expect_no_out', 'await_out'):
                    self.settle_exit()
                getattr(self, method)(*match.groups())
            except AssertionError as error:
                raise AssertionError(f'{self.path.name}:{number}: {line}\n{error}\n'
                                     f'{self.story()}') from None

    def story(self):
        """What a reader of a failure wants: every conversation, and the log."""
        parts = [f'--- {name}\n' + '\n'.join(d.transcript) for name, d in self.dialogues.items() if d]
        return '\n'.join([*parts, '--- log', self.server.log()[-4000:]])

    def done(self):
        for dialogue in self.dialogues.values():
            if dialogue:
                dialogue.close()
        self.server.kill()
        self.sink.stop()
        if self.dns:
            self.dns.stop()

    # ---- the name server ----

    def dns_add(self, line):
        self.dns.add(line)

    def dns_forget(self, name):
        self.dns.forget(name)

    def dns_switch(self, where):
        getattr(self.dns, where)()

    def expect_asked(self, name, kind, count):
        # A question is on its way while the client hears its reply.
        places.await_true(lambda: self.dns.asked(name, kind) >= int(count), 10,
                          f'it was {self.dns.asked(name, kind)}')
        assert self.dns.asked(name, kind) == int(count), f'it was {self.dns.asked(name, kind)}'

    # ---- the server ----

    def need_server(self):
        if not self.is_started:
            self.is_started = True
            if self.is_sink_wanted:
                self.sink.start()
            self.server.start()

    def restart(self):
        self.server.stop()
        self.server.start()

    def send_signal(self, name):
        self.server.signal(getattr(signal, 'SIG' + name))

    def run_command(self, arguments):
        self.command = arguments.split()
        if self.command == ['queue', 'flush']:
            self.server.await_no_attempt()      # what is being tried is not flushed
        self.result = self.server.command(*self.command)
        self.is_exit_expected = False

    def await_out(self, pattern):
        def is_so():
            if re.search(pattern, self.result.stdout + self.result.stderr, re.M):
                return True
            time.sleep(0.1)
            self.result = self.server.command(*self.command)
            return False

        places.await_true(is_so, 10, lambda: f'it said:\n{self.result.stdout}{self.result.stderr}')

    def settle_exit(self):
        """A command of which nothing else was said must have ended with 0."""
        if not self.is_exit_expected:
            self.expect_exit('0')

    def expect_exit(self, code):
        self.is_exit_expected = True
        said = self.result.stdout + self.result.stderr
        assert self.result.returncode == int(code), f'exit {self.result.returncode}:\n{said}'

    def expect_out(self, pattern):
        said = self.result.stdout + self.result.stderr
        assert re.search(pattern, said, re.M), f'it said:\n{said}'

    def expect_no_out(self, pattern):
        said = self.result.stdout + self.result.stderr
        assert not re.search(pattern, said, re.M), f'it said:\n{said}'

    # ---- the conversation ----

    def connect(self, name='first', source=None, port=None):
        self.need_server()
        self.dialogues[name] = Dialogue(int(self.server.words.get(port, port) or self.server.port), source=source)
        self.current = name

    def switch(self, name):
        assert name in self.dialogues, f'no connection is called {name}'
        self.current = name

    @property
    def dialogue(self):
        if self.current is None:
            self.connect()
        return self.dialogues[self.current]

    def flush(self):
        if self.waiting:
            self.sent, self.waiting = self.waiting, b''
            self.dialogue.send(self.sent)

    def send_line(self, times, text):
        numbers = range(1, int(times) + 1) if times else [None]
        for number in numbers:
            self.waiting += parse_bytes(text or '', number) + b'\r\n'

    def send_bytes(self, text):
        self.waiting += parse_bytes(text)

    def expect_line(self, times, pattern):
        for _ in range(int(times or 1)):
            line = self.dialogue.line()
            assert line is not None, 'the server closed the connection'
            assert matches(pattern, line), f'it said: {line}'

    def expect_reply(self, pattern):
        reply = self.dialogue.reply()
        assert reply is not None, 'the server closed the connection'
        self.last_reply = [line[4:] for line in reply]
        assert {line[:3] for line in reply} == {pattern[:3]}, f'it said: {reply}'
        assert matches(pattern, reply[-1]) or pattern == pattern[:3], f'it said: {reply}'

    def send_until(self, pattern):
        def is_so():
            line = self.dialogue.line()
            assert line is not None, 'the server closed the connection'
            if matches(pattern, line):
                return True
            time.sleep(0.2)
            self.dialogue.send(self.sent)
            return False

        places.await_true(is_so, 10, f'a reply like {pattern}')

    def reply_has(self, pattern):
        assert any(matches(pattern, line) for line in self.last_reply), self.last_reply

    def reply_has_not(self, pattern):
        assert not any(matches(pattern, line) for line in self.last_reply), self.last_reply

    def expect_close(self):
        line = self.dialogue.line()
        assert line is None, f'it said: {line}'
        self.hang_up()

    def hang_up(self):
        self.dialogue.close()
        self.dialogues[self.current] = None
        self.current = None

    def expect_quiet(self, time_text):
        assert self.dialogue.is_quiet(parse_time(time_text)), 'it spoke'

    def pause(self, time_text):
        time.sleep(parse_time(time_text))

    def starttls(self):
        self.dialogue.starttls()

    # ---- the next hop ----

    def sink_up(self):
        self.is_sink_wanted = True
        self.sink.start()

    def sink_down(self):
        self.is_sink_wanted = False
        self.sink.stop()

    def sink_offers(self, words):
        self.sink.keywords = [word.strip() for word in words.split('|')] if '|' in words else words.split()

    def sink_reply(self, key, times, text):
        self.sink.reply(key, text.strip().replace('\\n', '\n') or None, int(times) if times else None)

    def expect_delivered(self, count):
        places.await_true(lambda: len(self.sink.messages) >= int(count), 10,
                          f'the next hop has {len(self.sink.messages)} messages')
        assert len(self.sink.messages) == int(count), f'it has {len(self.sink.messages)}'

    @property
    def message(self):
        assert self.sink.messages, 'the next hop got no message'
        return self.sink.messages[-1]

    def got_sender(self, expected):
        assert matches(expected, self.message.sender), self.message.sender

    def got_recipients(self, expected):
        said = ' '.join(sorted(self.message.recipients))
        assert matches(expected, said), said

    def got_said(self, pattern):
        places.await_true(lambda: any(matches(pattern, line) for line in list(self.sink.heard)), 10, self.sink.heard)

    def got_not_said(self, pattern):
        assert not any(matches(pattern, line) for line in self.sink.heard), self.sink.heard

    def got_has(self, pattern):
        assert re.search(pattern.encode(), self.message.wire, re.M), repr(self.message.wire)

    def got_has_not(self, pattern):
        assert not re.search(pattern.encode(), self.message.wire, re.M), repr(self.message.wire)

    def got_clean(self):
        wire = self.message.wire
        assert not re.search(rb'\r(?!\n)|(?<!\r)\n', wire), f'bare CR or LF: {wire!r}'
        assert (b'\r\n' + wire).count(b'\r\n.\r\n') == 1, f'more than one end: {wire!r}'

    def got_tls(self):
        assert self.message.is_tls, 'it came in the clear'

    def got_signed(self, user):
        assert (self.message.user or 'nobody') == user, f'signed in as {self.message.user}'

    def got_body(self, expected):
        assert self.message.body == parse_bytes(expected), repr(self.message.body)

    # ---- what is left ----

    def expect_spool(self, count):
        self.server.await_queue_count(int(count))

    def expect_maildir(self, name, count):
        self.server.await_maildir(name, int(count))

    def maildir_has(self, name, pattern):
        found = self.server.maildir(name)
        assert found, 'nothing is there'
        text = found[-1].read_bytes()
        assert re.search(pattern.encode(), text, re.M), repr(text)

    def expect_log(self, pattern):
        self.server.await_log(pattern)

    def expect_no_log(self, pattern):
        assert not re.search(pattern, self.server.log(), re.M), 'the log has it'


@pytest.mark.parametrize('path', PLAYS, ids=[p.stem for p in PLAYS])
def test_play(path):
    stage = Stage(path)
    failure = None
    try:
        stage.act()
    except AssertionError as error:
        failure = str(error)
    finally:
        stage.done()
    if failure:
        pytest.fail(failure, pytrace=False)     # the play's line tells more than our stack
