"""Differential tests: the same directory and the same conversation on Debian's Postfix and on Forepost.

    sudo /usr/bin/python3 -m pytest tests/differential -k 'backup'

Each NAME.case is one configuration; each "== talk" in it one conversation, held with both servers. Every reply must have
the same code and the same enhanced code, and whatever reaches the next hop must be the same, but for ids and dates.

A case begins with a comment that says what it is. Sections:

    == main.cf          lines over COMMON below; "unset NAME" removes one
    == master.cf        the inet service, instead of one smtpd on @PORT@
    == file NAME        a file in the configuration directory
    == zone             what the DNS says: records as in a zone file
    == talk NAME        a conversation; its lines are below
    == use NAME         all talks of talks/NAME.talks, as if they stood here

@DIR@, @PORT@ and @SINK@ (the port of the scripted next hop) may be used in all of them.

    C: text             a line is sent and its reply compared ("C:" alone sends an empty line). {a*3000} is 3000
                        times "a"; \\r \\n \\t \\0 \\\\ \\xNN as in C
    > text              a line is sent that has no reply: content, the first commands of a pipeline
    R                   a reply is compared
    from ADDRESS        the client's address, before the first C:
    closed              the server has closed
    sink VERB: reply    what the next hop answers in this talk (harness/sink.py)
    delivered N         this many messages reach the next hop, and are compared
    held N              this many messages stay in the queue, with both

After a C: or R line, "~ reason" on a line of its own: here the two differ, on purpose, for this reason. It is an error
when they do not. Where only the enhanced code may differ the line is "~code reason".

Needs root: Postfix runs by chroot, and all in a network namespace of its own, so that port 53 is free.
"""

import ctypes
import os
import pathlib
import re
import subprocess

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.places import Broken, await_true
from harness.postfix import Postfix
from harness.server import Server, parse_main_cf
from harness.sink import Sink

HERE = pathlib.Path(__file__).parent
CASES = sorted(HERE.glob('*.case'))

COMMON = {
    'compatibility_level': '3.6',
    'myhostname': 'mx1.relay.test',
    'mydestination': '',
    'mynetworks': '192.0.2.0/24',
    'inet_interfaces': '127.0.0.1',
    'inet_protocols': 'ipv4',
    'local_recipient_maps': '',
    'local_transport': 'error:no local delivery on this relay',
    'smtpd_relay_restrictions': 'permit_mynetworks, reject_unauth_destination',
    # Neither waits after an error, and one address stands for many clients.
    'smtpd_error_sleep_time': '0',
    'smtpd_client_connection_count_limit': '0',
    'enable_long_queue_ids': 'yes',
}
MASTER = '127.0.0.1:@PORT@ inet n - n - - smtpd\n'
REPEAT = re.compile(r'\{([^{}]+)\*(\d+)\}')
ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|.)')
PLAIN = {'r': '\r', 'n': '\n', 't': '\t', '0': '\0', '\\': '\\'}
ENHANCED = re.compile(r'[245]\.\d{1,3}\.\d{1,3}(?= |$)')


# ---- the cases ----

class Case:
    def __init__(self, path):
        self.name = path.stem
        self.main, self.files, self.master, self.zone, self.talks = dict(COMMON), {}, MASTER, '', {}
        self.read(path, path.read_text())

    def read(self, path, text, prefix=''):
        section, lines = None, []
        for number, line in enumerate([*text.splitlines(), '== end'], 1):
            if line.startswith('== '):
                self.add(path, section, lines, prefix)
                section, lines = line[3:].strip(), []
            elif section is not None:
                lines.append(line)
            elif line.strip() and not line.startswith('#'):
                raise ValueError(f'{path.name}:{number}: text before the first section')

    def add(self, path, section, lines, prefix):
        kind, _, name = (section or 'end').partition(' ')
        if kind == 'main.cf':
            for line in lines:
                if line.startswith('unset '):
                    self.main[line.split()[1]] = None
            self.main.update(parse_main_cf('\n'.join(l for l in lines if not l.startswith('unset '))))
        elif kind == 'master.cf':
            self.master = '\n'.join(lines) + '\n'
        elif kind == 'file':
            self.files[name] = '\n'.join(lines) + '\n'
        elif kind == 'zone':
            self.zone = '\n'.join(lines) + '\n'
        elif kind == 'talk':
            name = prefix + name
            assert name not in self.talks, f'{path.name}: two talks "{name}"'
            self.talks[name] = [l for l in lines if l.strip() and not l.startswith('#')]
        elif kind == 'use':
            other = HERE / 'talks' / f'{name}.talks'
            self.read(other, other.read_text(), f'{name}, ')
        elif kind != 'end':
            raise ValueError(f'{path.name}: unknown section "{section}"')


ALL = {path.stem: Case(path) for path in CASES}


def spelled(text):
    text = REPEAT.sub(lambda m: m.group(1) * int(m.group(2)), text)

    def plain(match):
        what = match.group(1)
        return chr(int(what[1:], 16)) if what[0] == 'x' and len(what) == 3 else PLAIN[what]
    # Bytes above 127 that are written as \\xNN stay bytes; text is UTF-8.
    out = b''
    end = 0
    for match in ESCAPE.finditer(text):
        out += text[end:match.start()].encode() + plain(match).encode('latin-1')
        end = match.end()
    return out + text[end:].encode()


# ---- what both are told ----

class Line:
    """A reply, as it is compared."""

    def __init__(self, lines):
        self.lines = lines
        self.code = lines[-1][:3] if lines else 'closed'
        found = ENHANCED.match(lines[-1][4:]) if lines else None
        self.enhanced = found.group() if found else ''
        # The keywords of EHLO; all else about a reply's text is each server's own.
        self.keywords = sorted(l[4:].upper() for l in lines[1:]) if len(lines) > 1 else []

    def __eq__(self, other):
        return (self.code, self.enhanced, self.keywords) == (other.code, other.enhanced, other.keywords)

    def __repr__(self):
        return ' | '.join(self.lines) or 'closed'


class Step:
    def __init__(self, text):
        self.text, self.reply, self.differs, self.is_code_alone = text, None, None, False


def act(talk, server, sink):
    """Holds the conversation with one server: its steps with their replies, and what the next hop got."""
    source, steps, dialogue, keys = None, [], None, []
    words = server.words
    delivered = held = 0

    def connection():
        nonlocal dialogue
        if not dialogue:
            dialogue = Dialogue(server.port, source=source, timeout=20)
            greeting = Step('(greeting)')
            greeting.reply = Line(dialogue.reply() or [])
            steps.append(greeting)
        return dialogue

    before = len(sink.messages)
    try:
        for line in talk:
            kind, _, rest = line.partition(' ')
            for word, value in words.items():
                rest = rest.replace(word, value)
            if kind in ('C:', 'R'):
                step = Step(line)
                steps.append(step)
                if connection() and steps[-1] is not step:      # the greeting comes first
                    steps.remove(step)
                    steps.append(step)
                if kind == 'C:':
                    dialogue.send(spelled(rest) + b'\r\n')
                step.reply = Line(dialogue.reply() or [])
            elif kind == '>':
                connection().send(spelled(rest) + b'\r\n')
            elif kind in ('~', '~code'):
                steps[-1].differs, steps[-1].is_code_alone = rest, kind == '~code'
            elif kind == 'from':
                source = rest
            elif kind == 'closed':
                step = Step(line)
                step.reply = Line(connection().reply() or [])
                steps.append(step)
            elif kind == 'sink':
                key, _, reply = rest.partition(': ')
                sink.reply(key, reply or None)
                keys.append(key)
            elif kind == 'delivered':
                delivered = int(rest)
                await_true(lambda: len(sink.messages) >= before + delivered, 15,
                           f'{delivered} messages at the next hop\n{server.log()[-3000:]}')
            elif kind == 'held':
                held = int(rest)
                await_true(lambda: server.queue_count() == held, 15, f'{held} messages in the queue')
            else:
                raise ValueError(f'unknown line: {line}')
    finally:
        if dialogue:
            dialogue.close()
        for key in keys:
            sink.reply(key, None)
    assert len(sink.messages) == before + delivered, 'more or fewer messages than said reached the next hop'
    return steps, sorted((plainly(m, server) for m in sink.messages[before:]), key=repr)


VARIABLE = [
    (re.compile(rb'\bid [0-9A-Za-z]{6,20}\b'), b'id ID'),
    (re.compile(rb'(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ?\d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}(?: \(\w*\))?'), b'DATE'),
    (re.compile(rb'\(Postfix\)|\(Forepost\)'), b'(MTA)'),
    (re.compile(rb'(?im)^(Message-ID: )<\d{14}\.[0-9A-Za-z]+@'), rb'\1<ID@'),
    (re.compile(rb'[0-9A-Za-z]+\.\d+/mx1'), b'BOUNDARY/mx1'),
]


def plainly(message, server):
    """What is compared of a message at the next hop: ids, dates and the order of header lines' folding are taken out."""
    text = message.wire
    for pattern, word in VARIABLE:
        text = pattern.sub(word, text)
    header, blank, body = text.partition(b'\r\n\r\n')
    header = re.sub(rb'\r\n[ \t]+', b' ', header)
    sender = re.sub(r' SIZE=\d+', '', message.sender)
    return (message.helo, sender, tuple(sorted(message.recipients)), header.decode('utf-8', 'replace'),
            body.decode('utf-8', 'replace'))


# ---- the servers ----

@pytest.fixture(scope='session', autouse=True)
def namespace():
    """A network of our own, where port 53 is free and nothing else answers."""
    if os.getuid() != 0:
        pytest.skip('Postfix by chroot, and a network namespace, need root')
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet = 0x40000000
    if libc.unshare(clone_newnet) != 0:
        pytest.skip(f'no network namespace here: {os.strerror(ctypes.get_errno())}')
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)


class Pair:
    def __init__(self, case):
        self.sinks = [Sink().start(), Sink().start()]
        words = [{'@SINK@': str(s.port)} for s in self.sinks]
        self.postfix = Postfix(case.name, case.main, case.files, case.master, words[0])
        forepost = Server.__new__(Server)
        self.forepost = forepost
        main = {**case.main, 'queue_directory': '@DIR@/queue', 'maillog_file': '@DIR@/maillog',
                'maillog_file_prefixes': '@DIR@'}
        Server.__init__(forepost, case.name, master=case.master)
        forepost.words.update(words[1])
        forepost.main = main
        for file, text in case.files.items():
            forepost.write(file, text)
        forepost.write_configuration()
        try:
            self.postfix.start()
            self.forepost.start()
        except Exception:
            self.stop()
            raise

    def stop(self):
        try:
            self.postfix.stop()
        finally:
            try:
                self.forepost.stop()
            finally:
                self.forepost.kill()
                for sink in self.sinks:
                    sink.stop()


@pytest.fixture(scope='module')
def pairs(namespace):
    """The pair of the case that runs now; the one before is ended when the next begins."""
    current = {}

    def of(name):
        if name not in current:
            for pair in current.values():
                pair.stop()
            current.clear()
            current[name] = Pair(ALL[name])
        return current[name]

    yield of
    for pair in current.values():
        pair.stop()


@pytest.mark.parametrize('case,talk', [(c.name, t) for c in ALL.values() for t in c.talks])
def test_talk(pairs, case, talk):
    pair = pairs(case)
    lines = ALL[case].talks[talk]
    theirs, their_mail = act(lines, pair.postfix, pair.sinks[0])
    ours, our_mail = act(lines, pair.forepost, pair.sinks[1])
    wrong = []
    for a, b in zip(theirs, ours):
        is_same = a.reply == b.reply
        if a.is_code_alone:
            is_same = a.reply.code == b.reply.code and a.reply.keywords == b.reply.keywords
        if a.differs and not a.is_code_alone:
            if is_same:
                wrong.append(f'{a.text}\n    said to differ ({a.differs}), but both say: {a.reply}')
        elif not is_same:
            wrong.append(f'{a.text}\n    Postfix:  {a.reply}\n    Forepost: {b.reply}')
        elif a.is_code_alone and a.reply == b.reply:
            wrong.append(f'{a.text}\n    said to differ in the enhanced code, but both say: {a.reply}')
    if our_mail != their_mail:
        wrong.append(f'at the next hop\n    Postfix:  {their_mail}\n    Forepost: {our_mail}')
    assert not wrong, f'{case}: {talk}\n' + '\n'.join(wrong)
