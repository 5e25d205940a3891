"""Differential tests: the same directory and the same conversation on Debian's Postfix and on Forepost.

    sudo /usr/bin/python3 -m pytest tests/differential -k 'backup'

Each NAME.case is one configuration; each "== talk" in it one conversation, held with both servers. Every reply must have
the same code and the same enhanced code, and whatever reaches the next hop must be the same, but for ids and dates.

A case begins with a comment that says what it is. Sections:

    == main.cf          lines over COMMON below; "unset NAME" removes one
    == master.cf        the inet services, instead of one smtpd on @PORT@, and transports of the case's own
    == file NAME        a file in the configuration directory; for cdb: and lmdb: both read what Debian's postmap makes of it
    == zone             what the DNS says, to both, in the lines of harness/dns.py; without it only localhost has a name
    == example NAME     the files of doc/examples/NAME, word for word, in the place of main.cf, master.cf and COMMON. Its
                        lines are "text -> other": what must be another word here, everywhere in these files
    == next hop NAME    the scripted next hop offers STARTTLS, with a certificate of that name
    == database KIND    postgres, mariadb or sqlite, made of the files that its lines name; or slapd as an Active
                        Directory, made of its lines (LDIF); on @DATABASE@
    == policy           a policy server on @POLICY@: "regex -> action" a line, the first that is found in the request
    == socketmap, tcp   a server of such tables on @SOCKETMAP@ or @TCP@: "key -> value" (harness/table_server.py)
    == sink             lines "sink ..." and "offers WORD..." (after EHLO) for the whole case
    == talk NAME        a conversation; its lines are below
    == each NAME        a conversation a line, its steps parted by " ; "
    == use NAME         all that is in talks/NAME.talks, as if it stood here
    == texts            of refusals the texts are compared too
    == notices          of notices (RFC 3464) more of the header is compared, and all their parts' own header lines

@DIR@, @PORT@, @PORT2@, @SINK@ (the port of the scripted next hop, which listens on all of 127.0.0.0/8: each address is another
host), @CERT@ and @KEY@ (a certificate of mx1.relay.test), @CA@ (who signed that of the next hop), @FINGERPRINT@ (of the
client's, sha256) may be used in all of them, and {a*300} in the zone. Clients may come from any address of 127.0.0.0/8,
203.0.113.0/24 and 198.51.100.0/24; where master.cf has a service on [::1] of @PORT@, also from 2001:db8::/64.

    C: text             a line is sent and its reply compared ("C:" alone sends an empty line). {a*3000} is 3000
                        times "a"; \\r \\n \\t \\0 \\\\ \\xNN as in C
    > text              a line is sent that has no reply: content, the first commands of a pipeline
    ask FROM TO...      EHLO client.example.org (if nothing was said yet), MAIL, RCPT of each, RSET; "-" is the null sender
    send FROM TO...     the same with DATA and, when that is let in, a small message
    B: bytes            bytes are sent that have no reply, without CRLF
    R                   a reply is compared
    first TEXT          a line that is sent before the greeting: a PROXY header
    binary BYTES        the same without CRLF
    port PORT           the next connection goes there
    starttls            the TLS handshake, after C: STARTTLS; "starttls certificate": with one of the client's
    again               the connection is closed; the next line opens another
    from ADDRESS        the client's address, before the first C:
    is CODE...          the last replies, but for those to RSET, were these, with both
    closed              the server has closed
    sink VERB: reply    what the next hop answers in this talk (harness/sink.py)
    delivered N         this many messages reach the next hop, and are compared
    has, lacks REGEX    behind "delivered": this is, or is not, in the envelopes and texts that came
    held N              this many messages stay in the queue, with both
    flush               the queue is flushed until it is empty
    logged REGEX        a log line, with both
    heard VERB...       what the next hop has heard of these commands is compared (behind "delivered N")
    ~mail reason        what reaches the next hop differs, on purpose

After a C: or R line, "~ reason" on a line of its own: here the two differ, on purpose, for this reason. It is an error
when they do not. Where only the enhanced code may differ the line is "~code reason", where only the text "~text reason".

What is left out of the comparison, with the reasons, is said by KEYWORDS_OF_OURS and plainly() below.

Needs root: Postfix runs by chroot, and all in a network namespace of its own, so that port 53 is free.
"""

import ctypes
import hashlib
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading

import pytest

from harness import examples, places
from harness.database import ActiveDirectory, MariaDB, Postgres, make_sqlite
from harness.dialogue import Dialogue
from harness.dns import NameServer
from harness.peer import Peer
from harness.places import Broken, await_true
from harness.postfix import Postfix, postfix_root
from harness.server import Server, parse_main_cf
from harness.sink import Sink
from harness.table_server import TableServer

HERE = pathlib.Path(__file__).parent
CASES = sorted(HERE.glob('*.case'))

KEYWORDS_OF_OURS = {
    'LIMITS': 'RFC 9422: tells the client the limit on recipients, which Postfix has too but does not tell',
}
NETWORKS = ['203.0.113.1/24', '198.51.100.1/24']
NETWORK_V6 = '2001:db8::/64'

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
# our resolver knows this name itself (RFC 6761 6.3)
LOCALHOST = 'localhost A 127.0.0.1\n1.0.0.127.in-addr.arpa PTR localhost\n'
# An example says all this itself, as its readers will have it. What is left is for the tests.
WITH_EXAMPLE = ('smtpd_error_sleep_time', 'smtpd_client_connection_count_limit', 'enable_long_queue_ids')
MASTER = '127.0.0.1:@PORT@ inet n - n - - smtpd\n'
REPEAT = re.compile(r'\{([^{}]+)\*(\d+)\}')
ESCAPE = re.compile(r'\\(x[0-9a-fA-F]{2}|.)')
PLAIN = {'r': '\r', 'n': '\n', 't': '\t', '0': '\0', '\\': '\\'}
REFUSAL_CODE = re.compile(r' \([0-9A-HJKMNP-TV-Z]{7}\)')   # of ours, in front of a footer
ENHANCED = re.compile(r'[245]\.\d{1,3}\.\d{1,3}(?= |$)')


# ---- the cases ----

def repeated(match):
    return match.group(1) * int(match.group(2))


class Case:
    def __init__(self, path):
        self.name = path.stem
        self.main, self.files, self.master, self.talks = dict(COMMON), {}, MASTER, {}
        self.zone, self.policy, self.tables, self.sink, self.compares_texts = '', [], {}, [], False
        self.compares_notices = False
        self.head, self.sink_name, self.database = '', None, None
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
            self.zone += REPEAT.sub(repeated, '\n'.join(lines) + '\n')
        elif kind == 'example':
            self.load_example(name, [tuple(l.split(' -> ', 1)) for l in said(lines)])
        elif kind == 'next':
            self.sink_name = name.removeprefix('hop ')
        elif kind == 'database':
            self.database = name, lines
        elif kind == 'policy':
            self.policy = [tuple(l.split(' -> ', 1)) for l in said(lines)]
        elif kind in ('socketmap', 'tcp'):
            self.tables[kind] = dict(l.split(' -> ', 1) for l in said(lines))
        elif kind == 'sink':
            self.sink = said(lines)
        elif kind == 'talk':
            name = prefix + name
            assert name not in self.talks, f'{path.name}: two talks "{name}"'
            self.talks[name] = said(lines)
        elif kind == 'each':
            for number, line in enumerate(said(lines), 1):
                self.talks[f'{prefix}{name} {number}'] = line.split(' ; ')
        elif kind == 'texts':
            self.compares_texts = True
        elif kind == 'notices':
            self.compares_notices = True
        elif kind == 'use':
            other = HERE / 'talks' / f'{name}.talks'
            self.read(other, other.read_text(), f'{name}, ')
        elif kind != 'end':
            raise ValueError(f'{path.name}: unknown section "{section}"')

    def database_text(self):
        kind, lines = self.database
        if kind == 'slapd':
            return '\n'.join(lines) + '\n'
        return ''.join(self.files[name] for name in said(lines))

    def load_example(self, name, substitutions):
        texts = examples.files(name, substitutions)
        self.head, self.master = texts.pop('main.cf'), texts.pop('master.cf')
        self.files.update(texts)
        self.main = {name: COMMON[name] for name in WITH_EXAMPLE}


def said(lines):
    return [l for l in lines if l.strip() and not l.startswith('#')]


ALL = {path.stem: Case(path) for path in CASES}


def spelled(text):
    text = REPEAT.sub(repeated, text)

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
    """A reply, as it is compared: code, enhanced code and keywords; the text where a case wants it."""

    def __init__(self, lines):
        self.lines = lines
        self.text = ' '.join(REFUSAL_CODE.sub('', ENHANCED.sub('', line[4:]).strip()) for line in lines)
        self.code = lines[-1][:3] if lines else 'closed'
        found = ENHANCED.match(lines[-1][4:]) if lines else None
        self.enhanced = found.group() if found else ''
        # The keywords of EHLO; all else about a reply's text is each server's own.
        self.keywords = sorted(l[4:].upper() for l in lines[1:] if l[4:].split(' ')[0] not in KEYWORDS_OF_OURS)

    def differs_from(self, other):
        """What differs most: a value of MAY_DIFFER, or 0."""
        if (self.code, self.keywords) != (other.code, other.keywords):
            return 3
        if self.enhanced != other.enhanced:
            return 2
        return self.text != other.text

    def __repr__(self):
        return ' | '.join(self.lines) or 'closed'


MAY_DIFFER = {'~': 3, '~code': 2, '~text': 1}


class Step:
    def __init__(self, text):
        self.text, self.reply = text, None
        self.may_differ, self.reason = 0, ''        # a value of MAY_DIFFER


def spelled_out(talk):
    """The lines with "ask" and "send" as the commands that they stand for."""
    has_greeted = False
    for line in talk:
        kind, _, rest = line.partition(' ')
        has_greeted = has_greeted and kind != 'again' or kind == 'C:'
        if kind not in ('ask', 'send'):
            yield line
            continue
        if not has_greeted:
            yield 'C: EHLO client.example.org'
        has_greeted = True
        sender, *recipients = rest.split()
        yield f'C: MAIL FROM:<{sender.removeprefix("-")}>'
        for recipient in recipients:
            yield f'C: RCPT TO:<{recipient}>'
        yield from ['C: RSET'] if kind == 'ask' else ['C: DATA', 'message']


MESSAGE = '\r\n'.join(['From: "Some Body" <a@example.org>', 'To: <editor@relay.test>', 'Subject: a message',
                       'Date: Thu, 1 Jan 2015 00:00:00 +0000', 'Message-ID: <1@example.org>', '', 'Hello.', '.', ''])


def act(talk, server, sink, whole_notices=False):
    """Holds the conversation with one server: its steps with their replies, and what the next hop got."""
    source, steps, dialogue, keys = None, [], None, []
    words, port = server.words, server.port
    delivered = held = 0
    first, verbs = None, None

    def connection():
        nonlocal dialogue
        if not dialogue:
            address = '::1' if ':' in (source or '') else '127.0.0.1'
            dialogue = Dialogue(port, address, source=source, timeout=20)
            if first is not None:
                dialogue.send(first)
            greeting = Step('(greeting)')
            greeting.reply = Line(dialogue.reply() or [])
            steps.append(greeting)
        return dialogue

    before, heard_before = len(sink.messages), len(sink.heard)
    try:
        for line in spelled_out(talk):
            kind, _, rest = line.partition(' ')
            for word, value in words.items():
                rest = rest.replace(word, value)
            if kind in ('C:', 'R'):
                step = Step(line)
                connection()
                steps.append(step)
                if kind == 'C:':
                    dialogue.send(spelled(rest) + b'\r\n')
                step.reply = Line(dialogue.reply() or [])
            elif kind == 'message':
                if steps[-1].reply.code == '354':
                    steps.append(Step('C: .'))
                    dialogue.send(MESSAGE.encode())
                    steps[-1].reply = Line(dialogue.reply() or [])
            elif kind == '>':
                connection().send(spelled(rest) + b'\r\n')
            elif kind == 'B:':
                connection().send(spelled(rest))
            elif kind == 'first':
                first = spelled(rest) + b'\r\n'
            elif kind == 'binary':
                first = spelled(rest)
            elif kind == 'port':
                port = int(rest)
            elif kind == 'starttls':
                connection().starttls(places.certificate('client.example.org') if rest == 'certificate' else None)
            elif kind == 'again':
                connection().close()
                dialogue = None
            elif kind == '~mail':
                pass
            elif kind in MAY_DIFFER:
                steps[-1].may_differ, steps[-1].reason = MAY_DIFFER[kind], rest
            elif kind == 'from':
                source = rest
            elif kind == 'closed':
                step = Step(line)
                step.reply = Line(connection().reply() or [])
                assert step.reply.code == 'closed', f'not closed: {step.reply}'
                steps.append(step)
            elif kind == 'is':
                codes = [s.reply.code for s in steps if s.text != 'C: RSET'][-len(rest.split()):]
                assert codes == rest.split(), f'{line}: {type(server).__name__} said {codes}\n{steps[-1].reply}'
            elif kind == 'sink':
                keys.append(tell(sink, rest))
            elif kind == 'heard':
                verbs = rest.split()
            elif kind == 'delivered':
                delivered = int(rest)
                # What was refused does not arrive: the replies tell more than a wait does.
                ends = [s for s in steps if s.text in ('C: DATA', 'C: .')]
                if ends and ends[-1].reply.code not in ('250', '354'):
                    delivered = 0
                await_mail(server, sink, before + delivered)
            elif kind in ('has', 'lacks'):
                came = '\n'.join('\n'.join([m.sender, *m.recipients, m.wire.decode('utf-8', 'replace')])
                                 for m in sink.messages[before:])
                assert bool(re.search(rest, came)) == (kind == 'has'), f'{type(server).__name__}: {line}\n{came}'
            elif kind == 'flush':
                await_true(lambda: server.queue_count() == 0 or flush(server), 20, 'an empty queue')
            elif kind == 'logged':
                await_true(lambda: re.search(rest, server.log()), 10, f'{line}: {type(server).__name__}\n{server.log()[-3000:]}')
            elif kind == 'held':
                held = int(rest)
                await_true(lambda: server.queue_count() == held, 10, f'{held} messages in the queue')
            else:
                raise ValueError(f'unknown line: {line}')
    finally:
        if dialogue:
            dialogue.close()
        for key in keys:
            sink.reply(key, None)
    came = [f'{m.host}: {" ".join(m.recipients)}' for m in sink.messages[before:]]
    assert len(came) == delivered, f'not {delivered} messages of {type(server).__name__} reached the next hop: {came}'
    mail = sorted((plainly(m, 'ORCPT' in ' '.join(talk), whole_notices) for m in sink.messages[before:]), key=repr)
    if verbs:
        mail.append({'commands': [OWN_WORDS.sub(r'\1=OWN', l) for l in sink.heard[heard_before:] if l.split(' ')[0] in verbs]})
    return steps, mail


def flush(server):
    """False; time for what is asked for to happen is part of it."""
    if isinstance(server, Postfix):
        server.run('/usr/sbin/postqueue', '-f')
    else:
        server.command('queue', 'flush')
    try:
        await_true(lambda: server.queue_count() == 0, 1, 'an empty queue')
    except Broken:
        return False


def await_mail(server, sink, count):
    try:
        await_true(lambda: len(sink.messages) >= count, 5, 'mail')
    except Broken:
        print(server.log()[-3000:])     # which are too few is said by act()


def tell(sink, line):
    """ "VERB: reply": for how long is the caller's affair, who gets the key back."""
    key, _, reply = line.partition(': ')
    sink.reply(key, spelled(reply).decode() or None)
    return key


# In commands for the next hop: the queue id, the client's port when it chose one itself, and sizes.
OWN_WORDS = re.compile(r'\b(IDENT|PORT|SIZE)=(?!25\b|\[)\w+')
VARIABLE = [
    (re.compile(rb'\bid [0-9A-Za-z]{6,20}\b'), b'id ID'),
    (re.compile(rb'(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ?\d{1,2} \w{3} 20[2-9]\d \d\d:\d\d:\d\d [+-]\d{4}(?: \(\w*\))?'), b'DATE'),
    (re.compile(rb'\(Postfix\)|\(Forepost\)'), b'(MTA)'),
    # Postfix has the queue id alone in front of the "@" (enable_long_queue_ids), or the time too
    (re.compile(rb'(?im)^((?:Resent-)?Message-ID: )<(?:\d{14}\.)?[0-9A-Za-z]+@(mx1|out)\b'), rb'\1<ID@\2'),
    (re.compile(rb'[0-9A-Za-z]+\.\d+/mx1'), b'BOUNDARY/mx1'),
]


def ordered(path):
    """'<a@b> C=d E=f' with its parameters in their alphabet's order."""
    path, *parameters = path.split(' ')
    return ' '.join([path, *sorted(parameters)])


def plainly(message, has_orcpt, whole_notices=False):
    """What is compared of a message at the next hop. Left out: ids, dates, how lines are folded, the order of recipients
    (Postfix sorts them) and of parameters, and ORCPT unless the client gave one: Postfix adds it to each RCPT, and we only together with
    NOTIFY (RFC 3461 5.2.1: it "MAY be added")."""
    text = message.wire
    for pattern, word in VARIABLE:
        text = pattern.sub(word, text)
    header, blank, body = text.partition(b'\r\n\r\n')
    header = re.sub(rb'\r\n[ \t]+', b' ', header).replace(b' \r\n', b'\r\n')
    sender = ordered(re.sub(r' SIZE=\d+', '', message.sender))
    found = REPORT.search(header)
    recipients = sorted(ordered(r if has_orcpt and not found else re.sub(r' ORCPT=\S+', '', r)) for r in message.recipients)
    lines = header.decode('utf-8', 'replace').split('\r\n')
    if found and whole_notices:
        kept = [l for l in lines if l.split(':')[0] not in ('Received', 'Content-Transfer-Encoding')]
        lines, body = sorted(kept), parts(body.decode('utf-8', 'replace'), found.group(1).decode())
    elif found:
        lines = [l for l in lines if l.split(':')[0] in KEPT_OF_REPORTS]
        body = report(body.decode('utf-8', 'replace'), found.group(1).decode())
    else:
        body = body.decode('utf-8', 'replace')
    return {'host': message.host, 'tls': message.is_tls, 'signed in': message.user,
            'hello': message.helo, 'sender': sender, 'recipients': recipients,
            'header': lines, 'body': body}


KEPT_OF_REPORTS = ('Subject', 'Auto-Submitted', 'MIME-Version', 'References', 'In-Reply-To')
REPORT = re.compile(rb'(?i)^Content-Type: multipart/report;.*boundary="([^"]*)"', re.M)


def parts(body, boundary):
    """Header lines of a notice's parts, and the names of the fields of its second. Left out, on purpose: Content-Transfer-Encoding
    (Postfix says 8bit of what came without a word, we of what has such bytes), us-ascii (Postfix says utf-8 wherever SMTPUTF8 is
    on), Original-Recipient where the sender gave none (RFC 3464 2.3.1: it must not be there), and Remote-MTA, which names a next hop."""
    body = body.replace('\r\n', '\n').replace('X-Forepost-', 'X-Postfix-').replace('charset=us-ascii', 'charset=utf-8')
    heads = [part.lstrip('\n').partition('\n\n') for part in body.split('--' + boundary)[1:4]]
    lines = [line for head in heads for line in head[0].split('\n')]
    return [*(l for l in lines if not l.startswith('Content-Transfer-Encoding')),
            *(f for f in re.findall(r'(?m)^([\w-]+):', heads[1][2]) if f not in ('Original-Recipient', 'Remote-MTA'))]


def report(body, boundary):
    """A notice (RFC 3464) as it is compared: what is told of each recipient, and what comes back. The text for the person
    is each server's own; so is what names hosts and queues, and Original-Recipient where the sender gave none."""
    status, returned = body.replace('\r\n', '\n').split('--' + boundary)[2:4]
    groups = [dict(re.findall(r'^([\w-]+): *(.*(?:\n[ \t].*)*)', group, re.M))
              for group in status.split('\n\n')[1:] if group.strip()]
    told = []
    for group in groups[1:]:
        recipient = group.get('Original-Recipient', group.get('Final-Recipient', '')).replace('; ', ';')
        told.append([recipient, group.get('Action'), group.get('Status'),
                     group.get('Diagnostic-Code', '').partition('; ')[2]])
    kind, _, content = returned.partition('\n\n')
    kind = [l for l in kind.split('\n') if not l.startswith('Content-Transfer-Encoding:')]
    content = re.sub(r'\n[ \t]+', ' ', re.sub(r'(?m)^Return-Path: .*\n', '', content))
    return [groups[0].get('Original-Envelope-Id'), *sorted(told), *kind, *content.split('\n')]


def mail_differences(theirs, ours):
    for number, (a, b) in enumerate(zip(theirs, ours), 1):
        for part in a:
            if a[part] == b[part]:
                continue
            x, y = a[part], b[part]
            if isinstance(x, list) and isinstance(y, list):
                x, y = [l for l in x if l not in y], [l for l in y if l not in x]
                if not x and not y:
                    x, y = a[part], b[part]
            yield f'message {number}, {part}\n    Postfix:  {x!r}\n    Forepost: {y!r}'


# ---- the servers ----

@pytest.fixture(scope='session', autouse=True)
def namespace():
    """A network of our own, where port 53 is free and nothing else answers."""
    if os.getuid() != 0:
        pytest.skip('Postfix by chroot, and a network namespace, need root')
    postfix_root()      # from Debian, while there is a network
    for kind in sorted({case.database[0] for case in ALL.values() if case.database} & set(DATABASES)):
        Peer(DATABASES[kind].name)
    libc = ctypes.CDLL(None, use_errno=True)
    clone_newnet, clone_newns = 0x40000000, 0x00020000
    if libc.unshare(clone_newnet | clone_newns) != 0:
        pytest.skip(f'no network namespace here: {os.strerror(ctypes.get_errno())}')
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    for network in NETWORKS:
        subprocess.run(['ip', 'address', 'add', network, 'dev', 'lo'], check=True)
    # unlike IPv4, an IPv6 network on an interface gives this host one address of it
    subprocess.run(['ip', '-6', 'route', 'add', 'local', NETWORK_V6, 'dev', 'lo'], check=True)
    pathlib.Path('/proc/sys/net/ipv6/ip_nonlocal_bind').write_text('1')
    # Postfix's C library asks files alone in that root (for the benchmarks); here it asks the case's zone.
    subprocess.run(['mount', '--make-rprivate', '/'], check=True)
    for name, text in {'hosts': '127.0.0.1 localhost\n',
                       'nsswitch.conf': 'hosts: files dns\npasswd: files\ngroup: files\nservices: files\n',
                       'resolv.conf': 'nameserver 127.0.0.1\n'}.items():
        path = places.base() / name
        path.write_text(text)
        subprocess.run(['mount', '--bind', path, postfix_root() / 'etc' / name], check=True)


class PolicyServer:
    """Answers requests by the first rule whose expression is found in them; "action=dunno" else."""

    def __init__(self, rules):
        self.rules = [(re.compile(pattern), action) for pattern, action in rules]
        self.port = places.free_port()
        self.listener = socket.create_server(('127.0.0.1', self.port), backlog=50)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile('rw', encoding='utf-8', errors='replace', newline='\n') as stream:
            request = ''
            for line in stream:
                if line != '\n':
                    request += line
                    continue
                action = next((action for pattern, action in self.rules if pattern.search(request)), 'dunno')
                try:
                    stream.write(f'action={action}\n\n')
                    stream.flush()
                except OSError:
                    return
                request = ''

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


DATABASES = {'postgres': Postgres, 'mariadb': MariaDB, 'slapd': ActiveDirectory}


def fingerprint():
    """As smtpd_tls_fingerprint_digest = sha256 has it."""
    certificate, _ = places.certificate('client.example.org')
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest().upper()
    return ':'.join(digest[i:i + 2] for i in range(0, len(digest), 2))


class Pair:
    def __init__(self, case):
        self.started = []
        sinks = self.sinks = [self.with_stop(Sink(address='').start()) for _ in range(2)]
        for sink in sinks:
            if case.sink_name:
                sink.certificate = case.sink_name
                sink.keywords.append('STARTTLS')
            for line in case.sink:
                kind, _, rest = line.partition(' ')
                if kind == 'offers':
                    sink.keywords = rest.split(', ')
                else:
                    tell(sink, rest)
        certificate, key = places.certificate('mx1.relay.test')
        policy = self.with_stop(PolicyServer(case.policy)).port if case.policy else 0
        tables = {f'@{kind.upper()}@': str(self.with_stop(TableServer(kind, entries)).port)
                  for kind, entries in case.tables.items()}
        database = self.start_database(case)
        authority = places.certificate(sinks[0].certificate)[0].read_text()
        words = [{'@SINK@': str(s.port), '@POLICY@': str(policy), '@CERT@': '@DIR@/etc/mx1.crt', '@KEY@': '@DIR@/etc/mx1.key',
                  '@CA@': '@DIR@/etc/ca.pem', '@DATABASE@': str(database), '@PORT2@': str(places.free_port()),
                  '@FINGERPRINT@': fingerprint(), **tables} for s in sinks]
        files = {**case.files, 'mx1.crt': certificate.read_text(), 'mx1.key': key.read_text(), 'ca.pem': authority,
                 **examples.brought(case.head, authority)}
        # Without a zone it knows no name: that is told at once, where a closed port makes a resolver ask again.
        dns = self.with_stop(NameServer(LOCALHOST + case.zone, port=53))
        try:
            self.postfix = Postfix(case.name, case.main, files, case.master, words[0], case.head)
            if case.head and self.postfix.complaints():
                raise Broken('\n'.join(self.postfix.complaints()))
            # Postfix asks 127.0.0.1, as the resolver does when nothing is written in resolv.conf.
            main = {**case.main, 'queue_directory': '@DIR@/queue', 'maillog_file': '@DIR@/maillog',
                    'maillog_file_prefixes': '@DIR@', **dns.main()}
            self.forepost = Server(case.name, master=case.master)
            self.forepost.words = {**words[1], **self.forepost.words}     # @CERT@ is told by @DIR@
            self.forepost.head, self.forepost.main = case.head, main
            for file, text in files.items():
                self.forepost.write(file, text)
            self.forepost.write_configuration()
            for made in self.postfix.made():
                shutil.copy(made, self.forepost.etc)
            if case.database and case.database[0] == 'sqlite':
                for server in (self.postfix, self.forepost):
                    make_sqlite(server.directory / 'etc' / 'mail.sqlite', case.database_text())
            self.with_stop(self.postfix).start()
            self.with_stop(self.forepost).start()
        except BaseException:
            self.stop()
            raise

    def start_database(self, case):
        """Its port; 0 when there is no server."""
        kind = case.database and DATABASES.get(case.database[0])
        if not kind:
            return 0
        database = kind(text=case.database_text())
        self.started.append(database.done)
        try:
            return database.start().port
        except BaseException:
            self.stop()
            raise

    def with_stop(self, what):
        self.started.append(what.stop)
        return what

    def stop(self):
        """Ends all, and says only then what went wrong."""
        errors = []
        while self.started:
            try:
                self.started.pop()()
            except Exception as error:      # pylint: disable=broad-except
                errors.append(error)
        if hasattr(self, 'forepost'):
            self.forepost.kill()
        if errors:
            raise errors[0]


@pytest.fixture(scope='module')
def pairs(namespace):
    """The pair of the case that runs now; the one before is ended when the next begins."""
    current = {}

    def of(name):
        if name not in current:
            for pair in current.values():
                if pair:
                    pair.stop()
            current.clear()
            current[name] = None        # what does not start once is not tried again
            current[name] = Pair(ALL[name])
        assert current[name], 'the servers of this case did not start'
        return current[name]

    yield of
    for pair in current.values():
        if pair:
            pair.stop()


@pytest.mark.parametrize('case,talk', [pytest.param(c.name, t, marks=pytest.mark.xdist_group(c.name))
                                       for c in ALL.values() for t in c.talks])
def test_talk(pairs, case, talk):
    pair = pairs(case)
    lines = ALL[case].talks[talk]
    theirs, their_mail = act(lines, pair.postfix, pair.sinks[0], ALL[case].compares_notices)
    ours, our_mail = act(lines, pair.forepost, pair.sinks[1], ALL[case].compares_notices)
    wrong = []
    for a, b in zip(theirs, ours):
        differs = a.reply.differs_from(b.reply)
        # with "~" and "~code" another text alone is no difference
        has_text = ALL[case].compares_texts and a.reply.code[0] in '45' and not a.may_differ or a.may_differ == 1
        if differs == 1 and not has_text:
            differs = 0
        if differs > a.may_differ:
            wrong.append(f'{a.text}\n    Postfix:  {a.reply}\n    Forepost: {b.reply}')
        elif a.may_differ and not differs:
            wrong.append(f'{a.text}\n    said to differ ({a.reason}), but both say: {a.reply}')
    mail = list(mail_differences(their_mail, our_mail))
    if any(line.startswith('~mail ') for line in lines):
        if not mail:
            wrong.append('what reaches the next hop is said to differ, but is the same')
    else:
        wrong += mail
    assert not wrong, f'{case}: {talk}\n' + '\n'.join(wrong)
