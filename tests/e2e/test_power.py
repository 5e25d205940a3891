"""Power loss: one recorded run of a relay, replayed to hundreds of instants (tests/harness/power.py)."""

import json
import os
import subprocess
import sys

import pytest

from harness import places, power

CUTS = int(os.environ.get('FOREPOST_CUTS', '300'))


@pytest.mark.long
def test_power_loss():
    lacks = power.why_not()
    if lacks:
        pytest.skip(f'no power is lost here: {lacks}')
    seed = os.environ.get('FOREPOST_SEED')
    done = subprocess.run([sys.executable, places.SOURCE / 'tests' / 'harness' / 'power.py', '--cuts', str(CUTS),
                           *(['--seed', seed] if seed else [])],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=1800, text=True)
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout.splitlines()[-1])
    print(report)
    assert report['cuts'] >= CUTS and report['owed'] > CUTS and report['starts'] >= CUTS // 20
    assert report['taken back'] > 10 and len(report['styles']) == 4
