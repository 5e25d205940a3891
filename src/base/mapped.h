/*
 * mapped.h - looking into mapped files that somebody may cut short meanwhile
 *
 * What lies behind the end of a mapped file cannot be read: the kernel sends SIGBUS. It also does so when the disk gives an error.
 * Whoever looks into a map does it inside mapped_look(), which then comes back with false. A SIGBUS that comes
 * at any other place is nobody's business here, and does what it did before.
 *
 * Threads: any. The guard belongs to the thread that looks; nothing in there may suspend a task.
 * Why not read(2), and why a look at the size is not enough: doc/decisions/0069-mapped-tables.md
 */
#ifndef BASE_MAPPED_H
#define BASE_MAPPED_H

#include <stdbool.h>

/*
 * Calls look(context). False: it touched what is not there any more, and was left where it stood, wherever that was:
 * it must not hold a lock or memory that only it knows of, and what it has told through `context` may be half.
 */
bool mapped_look(void (*look)(void *context), void *context);
/*
 * Takes SIGBUS; what was there before has what is not ours. mapped_look() does it at its first call: only for who has
 * set another handler since.
 */
void mapped_take_signal(void);

#endif
