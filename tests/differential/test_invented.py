"""Conversations that nobody wrote down (invent.py), held with Debian's Postfix and with Forepost, on the configurations
of invented/.

    sudo /usr/bin/python3 -m pytest tests/differential/test_invented.py
    sudo FOREPOST_SEEDS=5000-5999 /usr/bin/python3 -m pytest -s tests/differential/test_invented.py -k strict

Compared as in test_differential.py: reply codes and enhanced codes, and what reaches the next hop, but for ids and dates.
What differs is told with its seed and its lines, as a case would have them.
"""

import os
import pathlib
import re
import time

import pytest

import invent
from harness.dialogue import Dialogue
from harness.places import Broken
from test_differential import Case, Line, Pair, mail_differences, namespace, plainly     # pylint: disable=unused-import

HERE = pathlib.Path(__file__).parent
CASES = {path.stem: Case(path) for path in sorted((HERE / 'invented').glob('*.case'))}
FIRST, _, LAST = os.environ.get('FOREPOST_SEEDS', '1-80').partition('-')
SEEDS = range(int(FIRST), int(LAST or FIRST) + 1)
TOLD_MAX = 40
CONTENT_REFUSALS = {'550', '554'}

QUEUED = re.compile(r'^250 2\.0\.0 .*queued as (\w+)')
ENTERED = re.compile(r': ([0-9A-Za-z]{6,20}): from=.*\(queue active\)| notification: ([0-9A-Za-z]{6,20})$')
LEFT = re.compile(r': ([0-9A-Za-z]{6,20}): (?:removed|milter-|discard: )')


class Log:
    """A server's log from where it was last looked at: which messages have come, and which have gone."""

    def __init__(self, server):
        self.path, self.place, self.rest = server.directory / 'maillog', 0, ''
        self.come, self.gone = set(), set()

    def read(self):
        if not self.path.exists():
            return
        with open(self.path, 'rb') as log:
            log.seek(self.place)
            data = log.read()
        self.place += len(data)
        *lines, self.rest = (self.rest + data.decode('utf-8', 'replace')).split('\n')
        for line in lines:
            for found in ENTERED.finditer(line):
                self.come.add(found.group(1) or found.group(2))
            for found in LEFT.finditer(line):
                self.gone.add(found.group(1))

    def await_all(self, ids, seconds):
        """Until these messages, and what came of them, have gone. Those that have not."""
        self.come |= ids
        end = time.monotonic() + seconds
        while True:
            self.read()
            left = self.come - self.gone
            if not left or time.monotonic() > end:
                self.come -= left       # not waited for again
                return left
            time.sleep(0.005)


def eased(line):
    """A header line. Of addresses without what stands between them: where one is rewritten Postfix writes the whole list
    anew, with its own blanks, and we leave the others as they came."""
    name, colon, value = line.partition(':')
    if line == 'From: MAILER-DAEMON@here.test':         # RFC 5322 3.4.1: an address has a domain
        return 'From:MAILER-DAEMON'
    if name == 'Received':      # "for" is left out where the header would not be ASCII any more
        return name + colon + re.sub(r' for <[^>]*[^\x00-\x7f][^>]*>', '', value)
    return name + colon + re.sub(r'[\s,]', '', value) if name.strip().lower() in invent.ADDRESS_FIELDS else line.rstrip()


def hold(steps, server, sink, log):
    """The replies, what the next hop got, and how many messages stay."""
    dialogue = Dialogue(server.port, timeout=5)
    replies, ids, before = [], set(), len(sink.messages)
    try:
        said = [Line(dialogue.reply() or [])]
        for step in steps:
            if step.after and not said[-1].code.startswith(step.after):
                replies.append([])
                continue
            dialogue.send(step.data)
            said = []
            for _ in range(step.replies):
                said.append(Line(dialogue.reply() or []))
                if said[-1].code == 'closed':
                    break
            replies.append(said)
            ids |= {found.group(1) for line in said for found in map(QUEUED.match, line.lines) if found}
            if said[-1].code == 'closed':
                break
    except Broken as error:
        replies.append([Line([f'--- {error}'])])
    finally:
        dialogue.close()
    left = log.await_all(ids, 6)
    mail = [plainly(m, False) for m in sink.messages[before:]]
    has_nested = any('nested MAIL' in line.text for said in replies for line in said)
    for one in mail:
        if has_nested:      # Postfix forgets the parameters of the first MAIL
            one['sender'] = one['sender'].split(' ')[0]
            one['header'] = [line.replace('UTF8SMTP', 'ESMTP') for line in one['header']]
        one['header'] = [eased(line) for line in one['header']]
        # where one is asked for twice, with another ORCPT, Postfix sends it two RCPTs
        one['recipients'] = sorted(set(one['recipients']))
        if not (one['sender'] + ''.join(one['recipients'])).isascii():
            one['sender'] = one['sender'].replace(' SMTPUTF8', '')      # RFC 6531 3.4: said here, and by Postfix not always
    mail.sort(key=repr)
    return replies, mail, len(left)


def is_told_early(theirs, ours):
    """What is wrong with the content is told here with the chunk in which it was seen, and by Postfix with the last one."""
    return ours.code in CONTENT_REFUSALS and any(line.code in CONTENT_REFUSALS for said in theirs for line in said)


def differences(steps, theirs, ours):
    """What differs, a line each. Behind a reply that differs nothing else is comparable."""
    (replies, mail, left), (our_replies, our_mail, our_left) = theirs, ours
    for number, (a, b) in enumerate(zip(replies, our_replies)):
        data = invent.spelled(steps[min(number, len(steps) - 1)].data)
        for x, y in zip(a, b):
            if x.differs_from(y) > 1:
                if {x.code, y.code} <= {'501', '555'}:      # of two mistakes the one that was seen first is told
                    break
                if data.startswith('BDAT') and x.code == '554' and 'synchronization' in x.text:
                    return      # behind HELO a chunk is early input there; here it belongs to its command
                is_content = steps[min(number, len(steps) - 1)].after or data.startswith('BDAT')
                if is_content and {x.code, y.code} <= CONTENT_REFUSALS:     # of several the first that was seen is told
                    return
                if '8-bit data in message header' in x.text and not b''.join(s.data for s in steps).isascii():
                    return      # in Postfix's own Received line: "for" an address beyond ASCII
                if data.startswith('BDAT') and is_told_early(replies[number:], y):
                    return
                yield f'{data[-300:]}\n    Postfix:  {x}\n    Forepost: {y}'
                return
        if len(a) != len(b):
            yield f'{data[-300:]}\n    Postfix:  {a}\n    Forepost: {b}'
            return
    if len(replies) != len(our_replies):
        yield f'{len(replies)} replies of Postfix, {len(our_replies)} of Forepost'
        return
    if len(mail) != len(our_mail):
        came = [[(m['sender'], m['recipients']) for m in some] for some in (mail, our_mail)]
        yield f'Postfix sends {len(mail)} messages {came[0]},\n    Forepost {len(our_mail)} {came[1]}'
    else:
        yield from mail_differences(mail, our_mail)
    if left != our_left:
        yield f'{left} messages stay with Postfix, {our_left} with Forepost'


@pytest.mark.parametrize('name', [pytest.param(n, marks=pytest.mark.xdist_group(f'invented {n}')) for n in CASES])
def test_invented(namespace, name):     # pylint: disable=redefined-outer-name
    pair = Pair(CASES[name])
    wrong, talks, crashes = [], [], 0
    rewrites = CASES[name].main.get('local_header_rewrite_clients') != ''
    try:
        logs = [Log(pair.postfix), Log(pair.forepost)]
        for seed in SEEDS:
            steps = invent.Inventor(seed, rewrites).talk()
            theirs, ours = (hold(steps, server, sink, log)
                            for server, sink, log in zip((pair.postfix, pair.forepost), pair.sinks, logs))
            found = list(differences(steps, theirs, ours))
            if found and pair.postfix.log().count(' killed by signal ') > crashes:
                crashes += 1        # Postfix's smtpd 3.7 does when chunks come behind one that was refused
                continue
            if found:
                wrong.append('\n'.join([f'seed {seed}: ', *found]))
                talks.append(invent.as_case(f'seed {seed}', steps))
                if len(wrong) >= TOLD_MAX:
                    break
    finally:
        pair.stop()
    assert not wrong, f'{name}: {len(wrong)} talks differ\n' + '\n'.join([*wrong, *talks])
