/* Computes a sine with a network of three layers. `sine.h` and `sine.c` are what `ferrolite convert --c sine.h` writes; put
 * those of your model in their place. */
#include "sine.h"

#include <stdio.h>

static sine_memory memory;
static sine_net net;

int main(void)
{
    ferrolite_error error = sine_bind(&net, &memory);
    if (error == FERROLITE_OK)
        error = sine_self_test(&net);
    if (error != FERROLITE_OK) {
        puts(ferrolite_error_message(error));
        return 1;
    }
    puts("self-test: passed");
    for (int tenths = 0; tenths < 63; tenths += 10) {
        sine_input0 input = {{sine_input0_quantize((float)tenths / 10.0f)}};
        sine_output0 output;
        error = sine_run(&net, &input, &output);
        if (error == FERROLITE_OK)
            printf("%d thousandths\n", (int)(sine_output0_dequantize(output.data[0]) * 1000.0f));
    }
    return 0;
}
