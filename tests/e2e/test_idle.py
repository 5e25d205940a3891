"""What sessions that say nothing cost, while others are served."""

import time

import pytest

from harness import places
from harness.dialogue import Dialogue
from harness.dns import NameServer

NO_LIMITS = {name: '0' for name in (
    'smtpd_client_connection_count_limit', 'smtpd_client_connection_rate_limit',
    'network_connection_count_limit', 'network_connection_rate_limit')}
NAME = """
    1.0.0.127.in-addr.arpa      PTR mail.customer.test
    mail.customer.test          A 127.0.0.1
"""


def meet(relay, has_tls):
    talk = Dialogue(relay.port, timeout=20)
    assert talk.reply()[0].startswith('220')
    talk.ask('EHLO client.test', '250')
    if has_tls:
        talk.ask('STARTTLS', '220')
        talk.starttls()
        talk.ask('EHLO client.test', '250')
    return talk


def measure(relay, sink, count, has_tls, rested_kib):
    """KiB that one of `count` idle sessions takes, above those that were there before: at once, and when it is as little as
    it should become."""
    crowd = [meet(relay, has_tls) for _ in range(count // 4)]
    time.sleep(0.5)
    before = places.resident_kib(relay.children()[0])
    crowd += [meet(relay, has_tls) for _ in range(count)]
    talk = crowd[-1]
    talk.ask('MAIL FROM:<sender@client.test>', '250')
    talk.ask('RCPT TO:<editor@relay.test>', '250')
    talk.ask('DATA', '354')
    talk.ask('Subject: in a crowd\r\n\r\ntext\r\n.', '250')
    places.await_true(lambda: sink.messages, 10, 'the message is delivered')

    def each():
        return (places.resident_kib(relay.children()[0]) - before) / count

    least = at_once = each()
    end = time.monotonic() + places.patient(15)     # pages of stacks are given back after a few seconds of rest
    while time.monotonic() < end and least >= rested_kib:
        time.sleep(0.5)
        least = min(least, each())
    print(f'{at_once:.1f} KiB at once, {least:.1f} at rest')
    for one in crowd:
        one.close()
    return at_once, least


@pytest.mark.long
def test_an_idle_session_takes_little_memory(network):
    dns = NameServer(NAME)
    sink = network.sink().start()
    relay = network.relay(sink.port, main={
        **NO_LIMITS, **dns.main(), 'smtpd_peername_lookup': 'yes', 'default_process_limit': '5000'}).start()
    at_once, rested = measure(relay, sink, 1200, has_tls=False, rested_kib=8)
    dns.stop()
    if not places.has_sanitizer():
        assert at_once < 15 and rested < 8, (at_once, rested)


@pytest.mark.long
def test_an_idle_session_under_tls_takes_little_memory(network):
    certificate, key = places.certificate()
    sink = network.sink().start()
    relay = network.relay(sink.port, main={
        **NO_LIMITS, 'default_process_limit': '5000', 'smtpd_tls_security_level': 'may',
        'smtpd_tls_cert_file': str(certificate), 'smtpd_tls_key_file': str(key)}).start()
    at_once, rested = measure(relay, sink, 300, has_tls=True, rested_kib=28)
    if not places.has_sanitizer():
        assert at_once < 40 and rested < 28, (at_once, rested)
