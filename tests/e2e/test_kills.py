"""kill -9 at random instants under load; `tests/crash --kills 200` does it longer."""

import os
import time

import pytest

from harness import places
from harness.kills import Kills

# Stays well under a minute: the long run is for people.
KILLS = int(os.environ.get('FOREPOST_KILLS', '40'))


@pytest.mark.long
def test_kill_9_under_load(network, load):
    sink = network.sink().start()
    relay = network.relay(sink.port, main={'minimal_backoff_time': '1s', 'queue_run_delay': '1s'}).start()
    generator = load.generator
    seed = int(os.environ.get('FOREPOST_SEED', time.time()))
    report = Kills(relay, sink, generator).run(KILLS, seed)
    print(f'seed {seed}: {report}')
    assert report['acknowledged'] >= KILLS
    assert not places.program().with_name('core').exists()
