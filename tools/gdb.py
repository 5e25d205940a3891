"""gdb.py - what suspended tasks are doing, in gdb

    gdb -x tools/gdb.py -p PID            or with a core file
    (gdb) tasks                           every task of every loop: address, what it waits for
    (gdb) tasks bt                        the same with backtraces
    (gdb) task-bt 0x7f12345                of one task (an address from "tasks", or any expression)

A task that does not run keeps its registers on its own stack, as stack_switch() (src/loop) pushed them;
from there the frame pointers lead upward, which is why everything is built with them.
"""

import gdb

# Where stack_switch() leaves the frame pointer and the return address, from the parked stack pointer.
SAVED = {'i386:x86-64': (48, 56), 'aarch64': (144, 152)}


def read_word(address):
    pointer = gdb.lookup_type('unsigned long').pointer()
    return int(gdb.Value(address).cast(pointer).dereference())


def text_of(view):
    """A struct str as text."""
    length = int(view['len'])
    return view['ptr'].string('utf-8', 'replace', length) if length else ''


def print_frame(number, pc):
    block = gdb.block_for_pc(pc - 1)
    while block and not block.function:
        block = block.superblock
    symbol = gdb.execute(f'info symbol {pc - 1:#x}', to_string=True).split(' in section')[0].strip()
    name = block.function.name if block else symbol
    line = gdb.find_pc_line(pc - 1)
    place = f'{line.symtab.filename}:{line.line}' if line.symtab else '?'
    print(f'  #{number} {name} at {place}')


def print_backtrace(task):
    frame_at, return_at = SAVED[gdb.selected_inferior().architecture().name()]
    parked = int(task['parked'])
    if not parked:
        print('  not parked')
        return
    frame, pc = read_word(parked + frame_at), read_word(parked + return_at)
    for number in range(64):
        print_frame(number, pc)
        if not frame:
            return
        frame, pc = read_word(frame), read_word(frame + 8)
        if not pc:
            return


def linked(head, type_name, member):
    """The things in a struct list."""
    kind = gdb.lookup_type(type_name)
    offset = next(f.bitpos // 8 for f in kind.fields() if f.name == member)
    link = head['next']
    while link != head.address:
        yield gdb.Value(int(link) - offset).cast(kind.pointer())
        link = link['next']


def loops():
    """Each thread's loop, by the thread's number."""
    before = gdb.selected_thread()
    for thread in gdb.selected_inferior().threads():
        thread.switch()
        try:
            loop = gdb.parse_and_eval("'loop.c'::this_loop")
            if int(loop):
                yield thread.num, loop
        except gdb.error:
            pass        # a thread whose local variables cannot be read, or a program without loops
    before.switch()


class Tasks(gdb.Command):
    """tasks [bt]: every task, and what it waits for; with bt, where."""

    def __init__(self):
        super().__init__('tasks', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        for thread, loop in list(loops()):
            room = loop['tasks']
            print(f'thread {thread}: {int(room["count"])} tasks')
            for task in linked(room['all'], 'struct task', 'link'):
                doing = task['doing'].string() if int(task['doing']) else '?'
                state = 'waits' if task['is_waiting'] else 'runs or is ready'
                print(f'{int(task):#x} {state}: {doing} {text_of(task["what"])}'.rstrip())
                if argument == 'bt' and task['is_waiting']:
                    print_backtrace(task)


class TaskBacktrace(gdb.Command):
    """task-bt TASK: where a suspended task stands."""

    def __init__(self):
        super().__init__('task-bt', gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        task = gdb.parse_and_eval(argument).cast(gdb.lookup_type('struct task').pointer())
        print_backtrace(task)


Tasks()
TaskBacktrace()
