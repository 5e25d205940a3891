/*
 * ub_events.h - libunbound's idea of an event base, on a loop of ours
 *
 * libunbound asks for descriptors to be watched and for timers (unbound-event.h); what it gets here are watches and
 * timers of struct loop. All calls come on the loop's thread.
 */
#ifndef DNS_UB_EVENTS_H
#define DNS_UB_EVENTS_H

#include "loop/loop.h"

struct ub_event_base;

/* Freed by ub_events_free() after the context that uses it. */
struct ub_event_base *ub_events_new(struct loop *l);
void ub_events_free(struct ub_event_base **base);

#endif
