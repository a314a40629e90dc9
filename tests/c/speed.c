/* Prints how many ticks of the board's timer TIMES inferences take, with copies of inputs and outputs, as a product runs
 * them. Under QEMU's -icount a tick is a fixed number of instructions. */
#include "model.h"
#include "say.h"

#include <stdint.h>

#define TIMES 16

/* CMSDK APB timer 0 of MPS2: control, value (counts down), reload. */
static volatile uint32_t *const timer = (volatile uint32_t *)0x40000000;

static model_memory memory;
static model_net net;
static model_input0 input;
static model_output0 output;

static void print(uint32_t number)
{
    char text[11];
    char *at = text + sizeof text;
    *--at = 0;
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    say(at);
}

int main(void)
{
    ferrolite_error error = model_bind(&net, &memory);
    timer[2] = 0xFFFFFFFF;
    timer[1] = 0xFFFFFFFF;
    timer[0] = 1;
    uint32_t before = timer[1];
    for (int i = 0; i < TIMES && error == FERROLITE_OK; i++)
        error = model_run(&net, &input, &output);
    uint32_t after = timer[1];
    if (error != FERROLITE_OK) {
        say(ferrolite_error_message(error));
        return 1;
    }
    print(before - after);
    return 0;
}
