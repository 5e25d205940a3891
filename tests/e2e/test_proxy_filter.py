"""smtpd_proxy_filter with a filter that really stands between two listeners (harness/filter.py)."""

import json
import threading

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.filter import Filter

MASTER = """127.0.0.1:@PORT@ inet n - n - - smtpd
  -o smtpd_proxy_filter={filter}
  -o smtpd_proxy_options={options}
127.0.0.1:{behind} inet n - n - - smtpd
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o mynetworks=127.0.0.0/8
  -o receive_override_options=no_unknown_recipient_checks
"""


class Arrangement:
    def __init__(self, network, options='', path=None, main=None):
        self.behind = places.free_port()
        self.filter = Filter(self.behind, path)
        name = f'unix:{path}' if path else f'127.0.0.1:{self.filter.port}'
        self.sink = network.sink().start()
        self.relay = network.relay(self.sink.port, main={'message_size_limit': '100000000', **(main or {})},
                                   master=MASTER.format(filter=name, behind=self.behind, options=options))

    def __enter__(self):
        self.filter.__enter__()
        self.relay.start()
        return self

    def __exit__(self, *args):
        self.filter.__exit__(*args)

    def client(self):
        talk = Dialogue(self.relay.port, timeout=60)
        talk.reply()
        talk.ask('EHLO client.test', '250')
        return talk


def begin(talk, sender='a@client.test', recipients=('editor@relay.test',)):
    talk.ask(f'MAIL FROM:<{sender}>', '250')
    for recipient in recipients:
        talk.ask(f'RCPT TO:<{recipient}>', '250')
    talk.ask('DATA', '354')


def end(talk, text, expected):
    talk.send(text.encode() + b'\r\n.\r\n')
    reply = talk.reply()
    assert reply[-1].startswith(expected), reply
    return reply[-1]


@pytest.mark.parametrize('options', ['', 'speed_adjust'])
def test_mail_passes_and_is_refused(network, options):
    with Arrangement(network, options) as a:
        talk = a.client()
        begin(talk)
        end(talk, 'Subject: good\r\n\r\n..', '250 2.0.0 Ok: queued as')
        begin(talk)
        end(talk, 'Subject: bad\r\n\r\nSPAM', '550 5.7.1 this is spam')
        told = a.relay.command('explain', '--json', talk.code)
        assert told.returncode == 0, told.stderr
        assert 'smtpd_proxy_filter' in told.stdout and json.loads(told.stdout), told.stdout
        begin(talk, sender='')
        end(talk, 'Subject: good too', '250')
        talk.ask('QUIT', '221')
        places.await_true(lambda: len(a.sink.messages) == 2, 20, 'two messages')
        first = a.sink.messages[0]
        assert first.header.count(b'Received:') == 2 and b'X-Filtered: yes' in first.header
        assert first.body == b'.\r\n', first.body
        places.await_true(lambda: a.filter.passed == 2, 10, 'two have passed the filter')
        assert 'XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1' in ' '.join(a.filter.heard)
        a.relay.await_log(r'orig_client=unknown\[127\.0\.0\.1\]')


def test_by_a_unix_socket(network):
    path = places.new_directory('filter') / 'socket'
    with Arrangement(network, path=path) as a:
        path.chmod(0o777)
        path.parent.chmod(0o777)
        talk = a.client()
        begin(talk)
        end(talk, 'Subject: good', '250')
        places.await_true(lambda: len(a.sink.messages) == 1, 20, 'the message')
        talk.ask('QUIT', '221')


@pytest.mark.parametrize('options', ['', 'speed_adjust'])
def test_a_filter_that_dies_in_the_text(network, options):
    """The client hears that it was not taken, after all of its text; and the next message goes."""
    with Arrangement(network, options) as a:
        a.filter.dies_at = 100000
        talk = a.client()
        begin(talk)
        end(talk, 'Subject: long\r\n\r\n' + 'x' * 70 * 1000 + '\r\n' + '1234567\r\n' * 500000, '451 4.3.0')
        a.relay.await_log('lost connection with proxy')
        a.filter.dies_at = None
        begin(talk)
        end(talk, 'Subject: short', '250')
        places.await_true(lambda: len(a.sink.messages) == 1, 20, 'the second message')
        assert b'short' in a.sink.messages[0].header
        talk.ask('QUIT', '221')


@pytest.mark.parametrize('options', ['', 'speed_adjust'])
def test_a_large_message_does_not_stay_in_memory(network, options):
    """40 MB go through, and no more of it was in memory at any time than some pieces."""
    line = b'this line is one of very many, and each of them has some length that adds up in the end\r\n'
    count = 40 * 1000 * 1000 // len(line)
    with Arrangement(network, options, main={'message_size_limit': '100000000'}) as a:
        talk = a.client()
        begin(talk)
        end(talk, 'Subject: one', '250')
        places.await_true(lambda: len(a.sink.messages) == 1, 20, 'the small message')
        before = memory_peak(a.relay)
        begin(talk)
        talk.send(b'Subject: large\r\n\r\n')
        for _ in range(count // 1000):
            talk.socket.sendall(line * 1000)
        end(talk, 'end', '250')
        places.await_true(lambda: len(a.sink.messages) == 2, 60, 'the large message')
        assert a.sink.messages[1].body == line * (count // 1000 * 1000) + b'end\r\n'
        assert memory_peak(a.relay) - before < 30000, f'{before} KiB before, {memory_peak(a.relay)} behind it'
        talk.ask('QUIT', '221')


def memory_peak(server):
    """KiB that the worker had at most."""
    worker = max(int(p) for p in (open(f'/proc/{server.process.pid}/task/{server.process.pid}/children').read()).split())
    status = open(f'/proc/{worker}/status').read()
    return int(status.partition('VmHWM:')[2].split()[0])


def test_many_at_once(network):
    """Each client hears what became of its own message."""
    wrong = []
    with Arrangement(network, main={'smtpd_client_connection_count_limit': '0'}) as a:
        def one(number):
            talk = a.client()
            try:
                for turn in range(5):
                    is_spam = (number + turn) % 3 == 0
                    begin(talk, sender=f'{number}-{turn}@client.test')
                    end(talk, f'Subject: {number}\r\n\r\n{"SPAM" if is_spam else "ham"}', '550' if is_spam else '250')
                talk.ask('QUIT', '221')
            except Exception as error:      # pylint: disable=broad-except
                wrong.append(error)

        threads = [threading.Thread(target=one, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong, wrong
        wanted = sorted(f'<{n}-{t}@client.test>' for n in range(12) for t in range(5) if (n + t) % 3)
        places.await_true(lambda: len(a.sink.messages) >= len(wanted), 30, 'all that was taken')
        assert sorted(m.sender.split(' ')[0] for m in a.sink.messages) == wanted
