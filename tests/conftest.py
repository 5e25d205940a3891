"""Makes tests/harness importable from every directory below, and ends what was started when we are.

Tests may run in several processes at once (python3-pytest-xdist: -n 4 --dist loadgroup); they then share nothing but
the machine: directories and ports are each process's own (harness/places.py). Two marks tell how they are dealt out:
    xdist_group(NAME)   tests that share something that takes long to make: one process runs them all
    long                takes five seconds or more: begins before the others, so that nobody waits for it at the end
"""

import signal
import sys

import pytest

from harness import places

# Without this SIGTERM would end us on the spot, and the servers under test would live on.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f'ended by signal {number}'))


def pytest_configure(config):
    config.addinivalue_line('markers', 'xdist_group(name): these run in one process')
    config.addinivalue_line('markers', 'long: begins before the others')


# First of all: the plugin that deals tests out takes them in this order.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker('long') is None)


def pytest_unconfigure():
    # A process of several may end without what atexit promises.
    places.clean()
