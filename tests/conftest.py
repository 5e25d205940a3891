"""Makes tests/harness importable from every directory below, and ends what was started when we are."""

import signal
import sys

# Without this SIGTERM would end us on the spot, and the servers under test would live on.
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(f'ended by signal {number}'))
