"""forepost check on the article's relay, as printed and mended: every finding that its checklist names."""

import json
import re
import subprocess

import pytest

from harness import places

ARTICLE = places.SOURCE / 'tests' / 'data' / 'article'
MAPS = ['vamap', 'relay_domains', 'relay_recipients', 'transport_maps', 'headercheck.regex']

# code -> line of main.cf (or of a map); 0: of the whole file
EXPECTED = {
    ('dead-dnsbl', 'list.dsbl.org'): 21,
    ('dead-dnsbl', 'dsn.rfc-ignorant.org'): 21,
    ('dnsbl-without-filter', 'zen.spamhaus.org'): 21,
    ('syntax-error-code', 'unknown_local_recipient_reject_code'): 12,
    ('permanent-code', 'unknown_address_reject_code'): 13,
    ('unused-code', 'unknown_hostname_reject_code'): 14,
    ('unused-code', 'unknown_client_reject_code'): 15,
    ('no-such-directory', 'mailq_path'): 32,
    ('old-restriction-name', 'reject_non_fqdn_hostname'): 21,
    ('old-restriction-name', 'reject_invalid_hostname'): 21,
    ('no-tls-inbound', 'STARTTLS'): 0,
    ('no-tls-outbound', 'STARTTLS'): 0,
    ('no-ipv6-listener', 'IPv6'): 7,
    ('aliases-at-the-edge', 'virtual_alias_maps'): 10,
}


def check(directory, *options):
    return subprocess.run([places.program(), 'check', '-c', directory, *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=places.patient(60))


@pytest.fixture
def article(tmp_path):
    for name in MAPS:
        (tmp_path / name).write_text((ARTICLE / name).read_text())
    (tmp_path / 'main.cf').write_text((ARTICLE / 'main.cf').read_text().replace('/config/', f'{tmp_path}/'))
    return tmp_path


def findings(directory):
    done = check(directory, '--json')
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found and all(set(f) == {'severity', 'code', 'file', 'line', 'text', 'cure'} for f in found)
    return found


def test_every_finding_of_the_checklist(article):
    found = findings(article)
    for (code, words), line in EXPECTED.items():
        assert [f for f in found if f['code'] == code and words in f['text'] and f['line'] == line and f['cure'] and
                f['file'] == f'{article}/main.cf'], (code, words, found)
    # the pattern that cannot match "=?", and the domains without postmaster@ or abuse@ where that is so
    assert [f for f in found if f['file'].endswith('headercheck.regex') and f['line'] == 1], found
    users = (article / 'relay_recipients').read_text()
    (article / 'relay_recipients').write_text(''.join(l for l in users.splitlines(True) if 'abuse@' not in l))
    assert [f for f in findings(article) if 'abuse' in f['text']], found
    # the same for people
    text = check(article).stdout
    assert re.search(r'main\.cf:12: warning: unknown_local_recipient_reject_code = 500 .* \(write 550\) \[syntax-error-code\]', text)


def test_maps_that_do_not_exist(article):
    for name in MAPS:
        (article / name).unlink()
    found = findings(article)
    missing = [f for f in found if f['code'] == 'table-missing']
    assert len(missing) == 5 and all(f['severity'] == 'error' and f['line'] and f['cure'] for f in missing)
    assert check(article).returncode == 1


def test_as_printed(tmp_path):
    (tmp_path / 'main.cf').write_text((ARTICLE / 'main.cf.printed').read_text())
    found = [f for f in findings(tmp_path) if f['code'] == 'syntax']
    assert len(found) == 1 and found[0]['line'] == 21 and found[0]['severity'] == 'error'
    assert "missing '='" in found[0]['text'] and 'begin the line with a blank' in found[0]['cure']
    assert check(tmp_path).returncode == 1
