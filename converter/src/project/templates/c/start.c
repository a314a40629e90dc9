/* What runs before and after `main` on a Cortex-M without an operating system: the vector table, the first values of
 * variables, and `say` through semihosting, which an emulator or a debugger answers. */
#include "say.h"

#include <stdint.h>
#include <string.h>

/* From board.ld. */
extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_end[];

int main(void);

/* "Semihosting for AArch32 and AArch64" of Arm's ABI: the number of the call in r0, its argument in r1. */
static int32_t semihost(uint32_t call, const void *argument)
{
    register uint32_t r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return (int32_t)r0;
}

void say(const char *text)
{
    semihost(0x04, text);
    semihost(0x04, "\n");
}

/* SYS_EXIT_EXTENDED, with the code of a program that ended by itself. */
static void leave(int code)
{
    const uint32_t block[2] = {0x20026, (uint32_t)code};
    semihost(0x20, block);
    for (;;) {
    }
}

static void fault(void)
{
    say("a fault");
    leave(2);
}

static void reset(void)
{
    memcpy(data_start, data_load, (uintptr_t)data_end - (uintptr_t)data_start);
    memset(bss_start, 0, (uintptr_t)bss_end - (uintptr_t)bss_start);
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    /* CPACR: coprocessors 10 and 11, which are the FPU and MVE. */
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\nisb" ::: "memory");
#endif
    leave(main());
}

/* The table that the core reads at start: the stack's end, reset, and the faults. */
__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_end, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
