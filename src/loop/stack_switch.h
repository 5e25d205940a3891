/*
 * stack_switch.h - the switch from one stack to another
 *
 * stack_switch(&save, load) parks the running stack in *save and goes on where `load` was parked. What a
 * function must preserve is kept (System V psABI; AAPCS64), and the floating point modes. A new stack is
 * made by stack_prepare(): its first switch calls entry(arg), which must not return.
 *
 * x86-64 and aarch64 in assembly (a signal mask is not saved, unlike swapcontext: no system call);
 * elsewhere <ucontext.h>.
 */
#ifndef LOOP_STACK_SWITCH_H
#define LOOP_STACK_SWITCH_H

#include <stddef.h>

/* 0 from the build: ucontext also here, for its test */
#if defined(STACK_SWITCH_ASSEMBLY)
#elif (defined(__x86_64__) && defined(__LP64__)) || defined(__aarch64__)
#define STACK_SWITCH_ASSEMBLY 1
#else
#define STACK_SWITCH_ASSEMBLY 0
#endif

void stack_switch(void **save, void *load);
/* `bottom` + `bytes` is the top; returns what to give to stack_switch(). */
void *stack_prepare(void *bottom, size_t bytes, void (*entry)(void *arg), void *arg);

#endif
