"""invent.py - conversations from a grammar and a seed, right and wrong, for test_invented.py

Inventor(seed).talk() is a list of Steps: bytes, and how many replies they have. The same seed makes the same talk, so a
seed is all that a report needs; as_case() writes a talk in the words of test_differential.py, to be pasted into a case.

What is known to differ, on purpose, is not invented. With its reason in a case (grep -r '^~' tests/differential): an empty
local part; two "@" without quotes; an address inside an address, for strangers; HELP; "NOTIFY=A,"; "ORCPT=rfc822;"; a size of
more than twenty digits; a dot alone behind a bare line feed; a CR in front of CR LF. Beyond these:
- ENVID of more than 100 characters, ORCPT of more than 500, or with more than ASCII in type rfc822: RFC 3461 4.2, 4.4.
- Control characters in addresses, in quotes too; a literal that is not closed, or whose numbers begin with 0; a ":" outside
  of quotes; comments inside a domain; what stands behind a path without a blank: RFC 5321 4.1.2. And "a,b" in two brackets,
  a domain of digits that append_dot_mydomain would complete, backslashes outside of quotes (in notices Postfix shows them).
- Brackets in a HELO name that is no literal: they would look like the client's address in Received. More than 255 characters
  of a name there. HELO behind EHLO, which is ESMTP in Postfix's Received (RFC 3848).
- BODY=7BIT, which says nothing, and which Postfix tells the next hop. AUTH= twice (503 there).
- NUL in commands, and in the header, where Postfix forgets the rest of the line.
- A size that is too large: Postfix remembers it beyond the MAIL that it refused.
- The same recipient twice, with other parameters: here an address is one recipient.
"""

import random
import re


class Step:
    """Bytes that are sent at once, and how many replies they have; `after`: only if the reply before began so."""

    def __init__(self, data, replies=1, after=None):
        self.data, self.replies, self.after = data, replies, after


def spelled(data):
    """Bytes as a case writes them."""
    out = []
    for byte in data:
        plain = {13: '\\r', 10: '\\n', 9: '\\t', 0: '\\0', 92: '\\\\'}.get(byte)
        out.append(plain or (chr(byte) if 32 <= byte < 127 else f'\\x{byte:02x}'))
    return RUN.sub(lambda run: f'{{{run.group(1)}*{len(run.group())}}}', ''.join(out))


RUN = re.compile(r'([^\\{}])\1{29,}')


def as_case(name, steps):
    lines = [f'== talk {name}']
    for step in steps:
        whole = step.data.endswith(b'\r\n')
        if whole and step.replies == 1:
            *content, last = step.data[:-2].split(b'\r\n')
            lines += [f'> {spelled(l)}' for l in content] + [f'C: {spelled(last)}']
        else:
            lines += [f'B: {spelled(step.data)}'] + ['R'] * step.replies
    return '\n'.join(lines)


ATOMS = ['a', 'editor', 'bob', 'Editor', 'root', 'a.b', '.a', 'a.', 'a..b', 'a+b', 'editor+x', 'editor-x', '-a',
    'a_b', "o'k", 'a=b', 'a*', '#a', '{a}', '$a', 'a/b', 'a?', '`a`', '~a', '^', '&', 'postmaster', 'abuse',
    'MAILER-DAEMON', '1', 'owner-a', 'a-request', 'x' * 64, 'x' * 65, 'y' * 250]
QUOTED = ['"a b"', '"a"', '"editor"', r'"a\"b"', r'"a\\b"', '"a,b"', '"a;b"', '"<a>"', '"(a)"', '" a"', '"a "', '"."',
    '".a"', '"a..b"', '"a"."b"', 'a."b"', '"a:b"', '"[a]"', '" "']
DOMAINS = ['relay.test', 'RELAY.test', 'other.test', 'Other.Test', 'sub.other.test', 'example.org',
    'elsewhere.example', 'here.test', 'relay.test.', 'x', 'localhost', 'a-b.test', '-a.test', 'a-.test', 'a_b.test',
    '1.test', '1.2.3', '1.2.3.4', 'a..test', '.a.test', 'test..', 'xn--bcher-kva.test', 'a' * 63 + '.test',
    'a' * 64 + '.test', '.'.join(['b' * 60] * 4) + '.test', '.'.join(['b' * 60] * 5), 'a,b.test', 'a/b.test',
    'a!b.test', 'a%b.test', 'masq.test', 'x.masq.test']
LITERALS = ['[127.0.0.1]', '[192.0.2.1]', '[1.2.3]', '[1.2.3.4.5]', '[256.1.1.1]', '[IPv6:2001:db8::1]', '[ipv6:::1]',
    '[IPv6:::ffff:1.2.3.4]', '[2001:db8::1]', '[IPv6:]', '[IPv6:g::1]', '[]', '[x]', '1.2.3.4]', '[1.2.3.4]x',
    '[1.2.3.4].test', '[[1.2.3.4]]', '[ 1.2.3.4 ]', '[IPv6:2001:db8:1:2:3:4:5:6:7]', '[IPv6:fe80::1%lo]',
    '[127.0.0.1]:25']
UTF8 = ['grüße', 'δοκιμή', 'a\u200bb', 'é', '用户']
UTF8_DOMAINS = ['bücher.test', 'δοκιμή.test', 'ÉCOLE.test', 'a。test', '\u00ad.test']

KEYWORDS = ['NOOP', 'RSET', 'VRFY a@relay.test', 'VRFY', 'VRFY editor@relay.test', 'VRFY <editor@relay.test>',
    'VRFY nobody', 'EXPN a', 'ETRN relay.test', 'ETRN', 'ETRN @relay.test', 'ETRN #x', 'ETRN elsewhere.example',
    'ETRN a b', 'TURN', 'FOO', 'STARTTLS', 'STARTTLS x', 'AUTH PLAIN', 'AUTH', 'XCLIENT ADDR=1.2.3.4',
    'XFORWARD NAME=x', 'NOOP x', 'RSET x', 'DATA x', 'BDAT', 'BDAT x', 'BDAT 0', 'BDAT 0 x', 'BDAT 1 LAST x',
    'BDAT -1', 'BDAT 99999999999999999999', 'mail from:<a@example.org>', 'Rcpt To:<editor@relay.test>', 'MAIL',
    'MAIL FROM', 'MAIL FROM:', 'MAIL TO:<a@example.org>', 'MAIL <a@example.org>', 'RCPT', 'RCPT TO', 'RCPT TO:',
    'RCPT FROM:<a@b.test>', 'MAIL FROM <a@example.org>', 'MAIL FROM: <a@example.org>', 'MAIL FROM :<a@example.org>',
    'MAIL FROM:\t<a@example.org>', 'MAIL  FROM:<a@example.org>', 'RCPT TO: <editor@relay.test>',
    'RCPT TO : <editor@relay.test>', 'MAIL FROM: a@example.org', 'RCPT  TO:<editor@relay.test>', 'HELO', 'EHLO',
    'HELO ', 'EHLO a b', 'QUITX', 'Subject: x', 'GET / HTTP/1.0', '.', '', ' ', ' NOOP', '\tNOOP', 'NOOP ', 'NOOP\t',
    'RSET ', 'x' * 512, 'y' * 2100, 'MAILFROM:<a@b.test>', 'SEND FROM:<a@b.test>', 'SAML FROM:<a@b.test>', 'SIZE=1',
    '\xff', 'éhlo']
HELOS = ['client.example.org', '[127.0.0.1]', '[IPv6:::1]', 'localhost', 'x', 'a_b', '-a', 'a..b', '127.0.0.1', 'a b',
    '<a>', 'a;b', '"a"', '(a)', '@', 'a@b', 'h' * 255, 'h' * 64 + '.test', 'mx1.relay.test', '.', 'a.', '#x', '!',
    '\\', 'a\\b', 'a:b', 'a,b', 'a$b']

MAIL_PARAMETERS = ['SIZE=100', 'SIZE=0', 'SIZE=-1', 'SIZE=+5', 'SIZE=1x', 'SIZE', 'SIZE=', 'size=5', 'SIZE= 5',
    'SIZE=007', 'BODY=8BITMIME', 'body=8bitmime', 'BODY=BINARYMIME', 'BODY=x', 'BODY', 'SMTPUTF8', 'SMTPUTF8=1',
    'smtputf8', 'RET=FULL', 'RET=HDRS', 'RET=full', 'RET=x', 'RET=', 'RET', 'ENVID=x', 'ENVID=a+2Bb', 'ENVID=a+2b',
    'ENVID=+', 'ENVID=', 'ENVID', 'ENVID=a+20b', 'ENVID=' + 'e' * 100, 'AUTH=<>', 'AUTH=a', 'AUTH=', 'AUTH',
    'AUTH=a+40b', 'FOO', 'FOO=bar', '=', 'X=', 'NOTIFY=NEVER', 'REQUIRETLS', 'HOLDFOR=5', 'BY=5', 'MT-PRIORITY=1',
    'XVERP', 'XVERP=+=', 'é', '<>', '"a"', 'TRANSID=<a>']
RCPT_PARAMETERS = ['NOTIFY=NEVER', 'NOTIFY=SUCCESS', 'NOTIFY=FAILURE', 'NOTIFY=DELAY', 'NOTIFY=SUCCESS,FAILURE',
    'NOTIFY=FAILURE,DELAY,SUCCESS', 'NOTIFY=NEVER,FAILURE', 'NOTIFY=x', 'NOTIFY=', 'NOTIFY', 'NOTIFY=success',
    'NOTIFY=SUCCESS,SUCCESS', 'NOTIFY=SUCCESS;DELAY', 'ORCPT=rfc822;a@b.test', 'ORCPT=rfc822;a+40b.test',
    'ORCPT=RFC822;a@b.test', 'ORCPT=x;y', 'ORCPT=x400;y', 'ORCPT=rfc822;a+2Bb@c.test', 'ORCPT=rfc822;a+zz',
    'ORCPT=;a', 'ORCPT=rfc822', 'ORCPT=', 'ORCPT', 'ORCPT=utf-8;a@b.test', r'ORCPT=utf-8;a\x{E9}@b.test',
    'ORCPT=utf-8;é@b.test', 'ORCPT=utf-8;a+2Bb@c.test', 'ORCPT=rfc822;a;b', 'ORCPT=rfc822;a=b', 'ORCPT=rfc822;<a@b>',
    'ORCPT=rfc822;+20a', 'SIZE=5', 'FOO', 'FOO=x', 'RET=FULL', '=', 'X=', 'RRVS=2014-04-03T23:01:00Z']

FIELDS = ['From', 'To', 'Cc', 'Bcc', 'Sender', 'Reply-To', 'Date', 'Message-ID', 'Message-Id', 'Subject', 'Received',
    'Return-Path', 'Content-Length', 'Resent-From', 'Resent-To', 'Resent-Cc', 'Resent-Bcc', 'Resent-Date',
    'Resent-Message-Id', 'Resent-Sender', 'Errors-To', 'Return-Receipt-To', 'Delivered-To', 'Apparently-To',
    'MIME-Version', 'Content-Type', 'Content-Transfer-Encoding', 'X-A', 'Mail-Followup-To',
    'Disposition-Notification-To', 'Resent-Reply-To', 'In-Reply-To', 'References', 'Keywords', 'Auto-Submitted',
    'List-Id', 'X-Original-To', 'Priority', 'Precedence', 'Status', 'Full-Name', 'Alternate-Recipient',
    'Content-Disposition', 'from', 'TO', 'bCC', 'DATE', 'message-id', 'X', 'X-' + 'n' * 80]
ADDRESS_FIELDS = {'from', 'to', 'cc', 'bcc', 'sender', 'reply-to', 'return-path', 'resent-from', 'resent-to',
    'resent-cc', 'resent-bcc', 'resent-sender', 'errors-to', 'return-receipt-to', 'delivered-to', 'apparently-to',
    'mail-followup-to', 'disposition-notification-to', 'resent-reply-to', 'x-original-to'}
ADDRESS_TEXTS = ['a@example.org', '<a@example.org>', 'Some Body <a@example.org>', '"Some, Body" <a@example.org>',
    'a@example.org (Some Body)', 'a, b@example.org', 'a@example.org, <b@other.test>,c', 'undisclosed-recipients:;',
    'group: a@x.test, b@y.test;', 'group:;, z', '', ' ', 'a', '<>', 'a%b', 'a!b', 'x.test!a', 'a@[1.2.3.4]', 'a@x',
    '"a b"@x.test', r'"a\"b"@x.test', 'Größe <a@example.org>', 'a@bücher.test', '=?utf-8?q?G=C3=BC?= <a@example.org>',
    'a@x.masq.test', 'root@x.masq.test', 'canon@one.test', 'A@Here.Test', '"' + 'q' * 300 + '" <a@example.org>',
    ', '.join(['somebody@example.org'] * 60), "'a'@x.test", 'a,,b', 'canon', 'a+x@here.test', '"a" <b>',
    'a (c (d) e) <b@x.test>', 'a@x.test,', ',a@x.test']
NO_ADDRESS_TEXTS = ['a b', 'a b@c.test', '<a', 'a>', '"a', '(a', 'a)', '@x.test:a@y.test',
    '<@x.test,@z.test:a@y.test>', 'a@x.', 'a.b @ x.test', 'a (c) @ (d) x.test', 'a;b', 'Mr. A <a@example.org>',
    'a@b@c.test', '<a@example.org> <b@example.org>', 'a:b', '<a b@x.test>', 'a@example.org;', 'a@x.test b@y.test',
    'a\tb@x.test', '=?x?=', '\\', '"\\', 'a@"x.test"', '\\"a@x.test', 'To: x', '[a]', 'a.@x.test', '..@x.test', ',']
FIELD_VALUES = ['x', '', ' ', ' x', 'x ', '\tx', 'a  b', 'two words', 'ü', '=?utf-8?q?=C3=BC?=', 's' * 70, 's' * 990,
    's' * 998, 's' * 1100, 'Thu, 1 Jan 2015 00:00:00 +0000', '<1@example.org>', 'a: b', ':', '::',
    'text/plain; charset=utf-8', 'x\x0by', 'x\x01', 'x\x7f', '"a" (b', 'words ' * 200]
BAD_LINES = ['no colon here', 'From a@example.org Thu Jan  1 00:00:00 2015', '>From x', 'X Y: z', ': no name',
    'Sübject: x', ' folded at once', '\tfolded', 'X:', 'X-Y :z', 'X-Y\t: z', 'X;Y: z', '-:', '(a): b', 'x' * 120,
    'From:', '>From: a', 'a@b: c', '"q": x', '. x', 'Re[1]: y', 'X-\x01: y', 'X\xa0: y', '=', '-- ', 'Date',
    'http://x.test/']
TYPES = ['text/plain', 'text/html; charset=utf-8', 'multipart/mixed; boundary=b', 'multipart/mixed; boundary="b b"',
    'multipart/mixed', 'multipart/alternative; boundary=c', 'multipart/digest; boundary=b',
    'multipart/digest; boundary=c', 'message/rfc822', 'message/partial; id=1', 'message/external-body; access-type=x',
    'application/octet-stream', 'multipart/mixed; boundary=b; boundary=c', 'multipart/mixed; boundary=""',
    'MULTIPART/MIXED; BOUNDARY=b', 'text', 'text/plain; name="a;b"', 'multipart/signed; boundary=b',
    'multipart/report; boundary=b', 'multipart/mixed; x="b\\"c"; boundary=b', 'message/global',
    'message/delivery-status', 'text/plain (c)', '(c) multipart/mixed (d); boundary (e) = (f) b',
    '"multipart"/mixed; boundary=b', 'multipart / mixed ; boundary = b', 'message/disposition-notification',
    'multipart/mixed; boundary*=b', 'multipart/mixed; boundary=' + 'b' * 80, '; boundary=b', '/',
    'multipart/mixed boundary=b']
ENCODINGS = ['7bit', '8bit', 'binary', 'base64', 'quoted-printable', '8BIT', 'x-unknown', '', '"8bit"', '8bit (c)',
    '8bit; x', 'uuencode', '(c) 8bit', '8-bit', '7bit 8bit']
BODY_LINES = ['', 'hello', '.', '..', '.x', '...', 'From there', '>From', '--b', '--b--', '--c', '--c--', '--b x',
    '--b b', '--b b--', '-- ', '--', ' --b', '--B', '--bx', '--b ', '--b-- ', 'Grüße', 'x' * 990, 'x' * 998,
    'x' * 999, 'x' * 1500, 'x' * 5000, 'ü' * 700, 'trailing ', 'trailing\t', ' leading', '\t', 'a=b', '=', '=3D',
    'a\x01b', '\x7f', 'Content-Type: text/plain', 'Content-Transfer-Encoding: 8bit', 'Subject: inner',
    'MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=c', 'Content-Type: message/rfc822',
    'Content-Transfer-Encoding: base64', 'To: a', 'dot.', '. ', 'x.', '\x0c', 'begin 644 x', '\xa0',
    'Content-Type: message/partial', 'Content-Type: multipart/digest; boundary=c', '=FC']
ODD_ADDRESSES = [
    '', ' ', 'a b@relay.test', 'a@relay.test b', 'a @relay.test', 'a@ relay.test', 'a@relay.test ', ' a@relay.test',
    'a(c)@relay.test', '(c)a@relay.test', 'a@relay.test(c)', 'a,b@relay.test', 'a;b@relay.test', 'a[b@relay.test',
    '"a@relay.test', 'a"b@relay.test', 'a\\', 'a<b@relay.test', '"a"b@relay.test', 'a"b"@relay.test', '"a""b"@relay.test',
    'a\t@relay.test', 'a@\trelay.test']
ODD_PATHS = ['{}', '<{}', 'Some Body <{}>', '"Some Body" <{}>', '(c)<{}>', '<{}>(c)', '<{}> (c)', '<{}>x', '<(c){}>', '"a <{}>',
             '<{}><b@relay.test>', '<{}>,<b@relay.test>', '[<{}>]']


class Inventor(random.Random):
    def __init__(self, seed, has_proper_addresses=False):
        """`has_proper_addresses`: in the header, where they will be rewritten: of what is no address Postfix makes some,
        here it stays as it came."""
        super().__init__(seed)
        self.asked = set()      # the recipients of this transaction
        self.has_proper_addresses = has_proper_addresses

    def often(self, probability):
        return self.random() < probability

    # ---- addresses ----

    def domain(self):
        return self.pick((12, DOMAINS[:8]), (2, DOMAINS), (1, LITERALS), (0.4, UTF8_DOMAINS))

    def local(self):
        return self.pick((6, ['a', 'editor', 'bob', 'x', 'watched', 'canon']), (4, ATOMS), (2, QUOTED), (0.4, UTF8))

    def pick(self, *kinds):
        return self.choice(self.choices([k for _, k in kinds], [w for w, _ in kinds])[0])

    def address(self):
        kind = self.random()
        if kind < 0.86:
            return f'{self.local()}@{self.domain()}'
        if kind < 0.91:
            return self.local()
        if kind < 0.95:
            return f'@{self.choice(DOMAINS[:8])}{self.choice(["", ",@x.test", ","])}:{self.local()}@{self.domain()}'
        return self.choice(ODD_ADDRESSES)

    def path(self):
        address = self.address()
        kind = self.random()
        if kind < 0.93:
            return f'<{address}>'
        return self.choice(ODD_PATHS).format(address)

    def parameters(self, known):
        kind = self.random()
        if kind < 0.55:
            return ''
        count = 1 if kind < 0.85 else 2 if kind < 0.97 else 5
        blank = self.choices([' ', '  ', '\t'], [30, 1, 1])[0]
        tail = self.choices(['', ' '], [30, 1])[0]
        chosen = [self.choice(known) for _ in range(count)]
        chosen = [one for n, one in enumerate(chosen) if not one.startswith('AUTH=') or 'AUTH=' not in ''.join(chosen[:n])]
        return ''.join(blank + one for one in chosen) + tail

    def mail(self):
        if self.often(0.5):
            return 'MAIL FROM:<a@example.org>' + (self.parameters(MAIL_PARAMETERS) if self.often(0.5) else '')
        return f'MAIL FROM:{self.path()}{self.parameters(MAIL_PARAMETERS)}'

    def rcpt(self):
        if self.often(0.4):
            return self.choice(['RCPT TO:<editor@relay.test>', 'RCPT TO:<bob@relay.test>', 'RCPT TO:<x@other.test>'])
        return f'RCPT TO:{self.path()}{self.parameters(RCPT_PARAMETERS)}'

    def new_rcpt(self):
        while True:
            text = self.rcpt()
            if text.split()[1].lower() not in self.asked:
                self.asked.add(text.split()[1].lower())
                return text

    # ---- content ----

    def field(self):
        name = self.choice(FIELDS)
        lower = name.lower()
        is_proper = lower in ADDRESS_FIELDS and self.has_proper_addresses
        if lower in ADDRESS_FIELDS and (is_proper or self.often(0.9)):
            value = self.pick((3, ADDRESS_TEXTS), (0 if is_proper else 1, NO_ADDRESS_TEXTS))
        elif lower == 'content-type':
            value = self.choice(TYPES)
        elif lower == 'content-transfer-encoding':
            value = self.choice(ENCODINGS)
        else:
            value = self.choice(FIELD_VALUES)
        colon = self.choices([': ', ':', ' : ', ':\t', ':  '], [40, 4, 1, 1, 1])[0]
        text = f'{name}{colon}{value}'
        if self.often(0.15) and not is_proper:
            text += ''.join('\r\n' + self.choice([' ', '\t', '   ']) + self.choice(['folded', '', 'b@example.org', 'x' * 200, 'a, b'])
                            for _ in range(self.randint(1, 3)))
        return text

    def content(self):
        if self.often(0.02):
            return b''
        lines = []
        if self.often(0.3):
            lines += ['From: a@example.org', 'To: <editor@relay.test>', 'Date: Thu, 1 Jan 2015 00:00:00 +0000',
                      'Message-ID: <1@example.org>']
        for _ in range(self.choice([0, 1, 2, 3, 5, 8])):
            lines.append(self.field())
        if self.often(0.35):
            lines.append('MIME-Version: 1.0')
            lines.append('Content-Type: ' + self.choice(TYPES))
            if self.often(0.6):
                lines.append('Content-Transfer-Encoding: ' + self.choice(ENCODINGS))
        if self.often(0.03):
            lines += [f'Received: from h{n} by h{n + 1}; Thu, 1 Jan 2015 00:00:00 +0000'
                      for n in range(self.choice([3, 48, 49, 50]))]
        if self.often(0.12):
            bad = self.choice(BAD_LINES)
            if not (self.has_proper_addresses and bad[0].isspace()):
                lines.insert(self.randint(0, len(lines)), bad)
        if self.often(0.9):
            lines.append('')
            lines += [self.choice(BODY_LINES) for _ in range(self.choice([0, 1, 2, 4, 10]))]
        data = b''.join(self.octets(line) + b'\r\n' for line in lines)
        if self.often(0.06):
            where = self.randint(0, len(data))
            wild = self.choice([b'\0', b'\r', b'\n', b'\xff', b'\n\n', b'\x80', b'\r\n ', b'\n ', b'\x1b'])
            if wild == b'\0':
                where = max(where, data.find(b'\r\n\r\n') + 4 if b'\r\n\r\n' in data else len(data))
            if wild != b'\r' or data[where:where + 1] != b'\r':
                data = data[:where] + wild + data[where:]
        return data

    @staticmethod
    def octets(text):
        """UTF-8, but for what stands for a single byte."""
        return b''.join(bytes([ord(c)]) if c in '\xff\xa0' else c.encode() for c in text)

    def stuffed(self, data):
        """With the final dot, and mostly with the dots of lines doubled."""
        if self.often(0.9):
            data = b'\r\n'.join(b'.' + line if line.startswith(b'.') else line for line in data.split(b'\r\n'))
        else:
            data = data.replace(b'\r\n.\r\n', b'\r\n..\r\n')
            if data.startswith(b'.\r\n'):
                data = b'.' + data
        return data + b'.\r\n'

    # ---- conversations ----

    def hello(self):
        verb = self.choices(['EHLO', 'HELO', 'ehlo', 'LHLO'], [20, 4, 2, 0.3])[0]
        return f'{verb} {self.choice(HELOS) if self.often(0.15) else "client.example.org"}'

    def command(self, text):
        return Step(self.octets(text) + (b'\n' if self.often(0.01) else b'\r\n'))

    def message(self):
        if self.often(0.2):
            return self.chunks(self.content())
        return [Step(b'DATA\r\n'), Step(self.stuffed(self.content()), 1, '354')]

    def chunks(self, data):
        steps = []
        while data and self.often(0.6):
            size = self.randint(0, len(data))
            steps.append(Step(b'BDAT %d\r\n' % size + data[:size]))
            data = data[size:]
        steps.append(Step(b'BDAT %d%s\r\n' % (len(data), self.choice([b' LAST', b' LAST', b' last', b'  LAST'])) + data))
        return steps

    def transaction(self):
        steps = [Step(b'RSET\r\n'), self.command(self.mail())]
        self.asked.clear()
        steps += [self.command(self.new_rcpt()) for _ in range(self.choice([1, 1, 1, 2, 3]))]
        if self.often(0.12):
            steps.insert(self.randint(1, len(steps)), self.command(self.choice(KEYWORDS)))
        return steps + (self.message() if self.often(0.75) else [Step(b'RSET\r\n')])

    def talk(self):
        steps = [self.command(self.hello())] if self.often(0.96) else []
        for _ in range(self.choice([1, 1, 2, 3])):
            more = self.transaction() if self.often(0.85) else [self.command(self.choice(KEYWORDS)) for _ in range(3)]
            steps += self.pipelined(more) if self.often(0.15) else more
            if self.often(0.05):
                steps.append(self.command('EHLO again.example.org'))
            if self.often(0.03):
                self.shuffle(steps)
        return steps + [Step(b'QUIT\r\n')]

    def pipelined(self, steps):
        """All up to the first that ends a group (RFC 2920 3.1) in one piece."""
        group = []
        while steps and steps[0].data[:4].upper() in (b'MAIL', b'RCPT', b'RSET') and steps[0].data.endswith(b'\r\n'):
            group.append(steps.pop(0))
        if steps and steps[0].data == b'DATA\r\n':
            group.append(steps.pop(0))
        if not group:
            return steps
        return [Step(b''.join(s.data for s in group), len(group)), *steps]
