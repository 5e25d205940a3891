"""tools/gdb.py on a unit test of tasks, stopped while one of them waits."""

import os
import pathlib
import re
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('FOREPOST', SOURCE / 'build' / 'forepost')).parent


def test_suspended_tasks_are_shown_with_where_they_stand():
    program = BUILD / 'src' / 'loop' / 'loop_task_test'
    # The second time that a task is woken, the first one waits.
    shown = subprocess.run(
        ['gdb', '-nx', '-batch', '-q', '-x', SOURCE / 'tools' / 'gdb.py', '-ex', 'break task_wake',
         '-ex', 'run', '-ex', 'continue', '-ex', 'tasks bt', '-ex', 'kill', program],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=300).stdout
    assert re.search(r'^thread \d+: \d+ tasks$', shown, re.M), shown
    waiting = re.search(r'^0x[0-9a-f]+ waits: \S.*\n  #0 .*task\.c:\d+\n((?:  #\d+ .*\n)+)', shown, re.M)
    assert waiting, shown
    assert 'task_test.c' in waiting.group(1) and 'task_entry' in waiting.group(1)
