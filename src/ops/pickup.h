/* pickup.h - mail that was left in maildrop/ while no server ran is taken in (pickup(8)) */
#ifndef OPS_PICKUP_H
#define OPS_PICKUP_H

#include "ops/ops_private.h"

/* A task of the office that looks there every second (arg: the worker). */
void await_pick_up(void *arg);

#endif
