/* stack_switch.c - the switch from one stack to another */
#include "loop/stack_switch.h"

#include "base/check.h"

#include <stdint.h>

void stack_start(void); /* in assembly: calls entry(arg) on a new stack */

#if STACK_SWITCH_ASSEMBLY && defined(__x86_64__)

/*
 * A parked stack, from its saved pointer upward: x87 control word and mxcsr (8 bytes), r15 r14 r13 r12 rbx
 * rbp, return address. On a new stack r12 is the argument and r13 the entry.
 */
__asm__(".text\n"
        ".globl stack_switch\n"
        ".type stack_switch,@function\n"
        "stack_switch:\n"
        "       .cfi_startproc\n"
        "       pushq %rbp\n"
        "       pushq %rbx\n"
        "       pushq %r12\n"
        "       pushq %r13\n"
        "       pushq %r14\n"
        "       pushq %r15\n"
        "       subq $8, %rsp\n"
        "       stmxcsr (%rsp)\n"
        "       fnstcw 4(%rsp)\n"
        "       movq %rsp, (%rdi)\n"
        "       movq %rsi, %rsp\n"
        "       ldmxcsr (%rsp)\n"
        "       fldcw 4(%rsp)\n"
        "       addq $8, %rsp\n"
        "       popq %r15\n"
        "       popq %r14\n"
        "       popq %r13\n"
        "       popq %r12\n"
        "       popq %rbx\n"
        "       popq %rbp\n"
        "       ret\n"
        "       .cfi_endproc\n"
        ".size stack_switch,.-stack_switch\n"
        ".globl stack_start\n"
        ".type stack_start,@function\n"
        "stack_start:\n"
        "       .cfi_startproc\n"
        "       .cfi_undefined rip\n" /* a backtrace ends here */
        "       xorl %ebp, %ebp\n"
        "       movq %r12, %rdi\n"
        "       call *%r13\n"
        "       ud2\n"
        "       .cfi_endproc\n"
        ".size stack_start,.-stack_start\n");

void *stack_prepare(void *bottom, size_t bytes, void (*entry)(void *), void *arg)
{
        uint64_t *sp = (uint64_t *)(void *)((char *)bottom + bytes);
        check((uintptr_t)sp % 16 == 0);
        /* stack_start is entered by ret with sp at a multiple of 16, so that its call aligns as the ABI wants */
        *--sp = 0;
        *--sp = 0;
        *--sp = (uint64_t)(uintptr_t)stack_start;
        *--sp = 0;                              /* rbp */
        *--sp = 0;                              /* rbx */
        *--sp = (uint64_t)(uintptr_t)arg;       /* r12 */
        *--sp = (uint64_t)(uintptr_t)entry;     /* r13 */
        *--sp = 0;                              /* r14 */
        *--sp = 0;                              /* r15 */
        *--sp = 0x1f80 | (uint64_t)0x37f << 32; /* mxcsr and x87 as the ABI starts a process */
        return sp;
}

#elif STACK_SWITCH_ASSEMBLY && defined(__aarch64__)

/* A parked stack: d8-d15, x19-x28, x29, x30 (return address), fpcr, in 176 bytes. x19: entry, x20: argument. */
__asm__(".text\n"
        ".globl stack_switch\n"
        ".type stack_switch,%function\n"
        "stack_switch:\n"
        "       .cfi_startproc\n"
        "       sub sp, sp, #176\n"
        "       stp d8, d9, [sp, #0]\n"
        "       stp d10, d11, [sp, #16]\n"
        "       stp d12, d13, [sp, #32]\n"
        "       stp d14, d15, [sp, #48]\n"
        "       stp x19, x20, [sp, #64]\n"
        "       stp x21, x22, [sp, #80]\n"
        "       stp x23, x24, [sp, #96]\n"
        "       stp x25, x26, [sp, #112]\n"
        "       stp x27, x28, [sp, #128]\n"
        "       stp x29, x30, [sp, #144]\n"
        "       mrs x9, fpcr\n"
        "       str x9, [sp, #160]\n"
        "       mov x9, sp\n"
        "       str x9, [x0]\n"
        "       mov sp, x1\n"
        "       ldr x9, [sp, #160]\n"
        "       msr fpcr, x9\n"
        "       ldp d8, d9, [sp, #0]\n"
        "       ldp d10, d11, [sp, #16]\n"
        "       ldp d12, d13, [sp, #32]\n"
        "       ldp d14, d15, [sp, #48]\n"
        "       ldp x19, x20, [sp, #64]\n"
        "       ldp x21, x22, [sp, #80]\n"
        "       ldp x23, x24, [sp, #96]\n"
        "       ldp x25, x26, [sp, #112]\n"
        "       ldp x27, x28, [sp, #128]\n"
        "       ldp x29, x30, [sp, #144]\n"
        "       add sp, sp, #176\n"
        "       ret\n"
        "       .cfi_endproc\n"
        ".size stack_switch,.-stack_switch\n"
        ".globl stack_start\n"
        ".type stack_start,%function\n"
        "stack_start:\n"
        "       .cfi_startproc\n"
        "       .cfi_undefined x30\n"
        "       mov x29, #0\n"
        "       mov x30, #0\n"
        "       mov x0, x20\n"
        "       blr x19\n"
        "       brk #1\n"
        "       .cfi_endproc\n"
        ".size stack_start,.-stack_start\n");

void *stack_prepare(void *bottom, size_t bytes, void (*entry)(void *), void *arg)
{
        uint64_t *sp = (uint64_t *)(void *)((char *)bottom + bytes - 176);
        check((uintptr_t)sp % 16 == 0);
        memset(sp, 0, 176);
        sp[8] = (uint64_t)(uintptr_t)entry;        /* x19 */
        sp[9] = (uint64_t)(uintptr_t)arg;          /* x20 */
        sp[19] = (uint64_t)(uintptr_t)stack_start; /* x30 */
        return sp;
}

#else

#include <ucontext.h>

/* The context of a stack that is parked lies on that stack; of a new one, at its bottom. */
struct parked {
        ucontext_t context;
        void (*entry)(void *);
        void *arg;
};

void stack_switch(void **save, void *load)
{
        struct parked here;
        struct parked *there = load;
        *save = &here;
        check(swapcontext(&here.context, &there->context) == 0);
}

static void enter(unsigned high, unsigned low)
{
        struct parked *p = (struct parked *)(uintptr_t)((uint64_t)high << 32 | low);
        p->entry(p->arg);
        abort();
}

void *stack_prepare(void *bottom, size_t bytes, void (*entry)(void *), void *arg)
{
        struct parked *p = bottom;
        check(getcontext(&p->context) == 0);
        p->entry = entry;
        p->arg = arg;
        p->context.uc_stack.ss_sp = (char *)bottom + sizeof(*p);
        p->context.uc_stack.ss_size = bytes - sizeof(*p);
        p->context.uc_link = NULL;
        uint64_t address = (uintptr_t)p;
        makecontext(&p->context, (void (*)(void))enter, 2, (unsigned)(address >> 32),
                    (unsigned)address);
        return p;
}

#endif
