/* The sine of recorded angles by a model, compared byte for byte with the converter's answers:
 *
 *     ferrolite convert tests/models/sine/sine_int8_tf.tflite -o sine.ferro --c sine.h
 *     cc -std=c11 -I boards/c/include -I . boards/c/examples/sine.c boards/c/examples/say.c sine.c libferrolite.a
 *
 * `samples.h` holds what was recorded. */
#include "samples.h"
#include "say.h"
#include "sine.h"

#include <string.h>

static sine_memory memory;
static sine_net net;

/* Ops that the observer has seen. */
static uint32_t seen;

static void count(void *context, const ferrolite_op *op)
{
    uint32_t *ops = context;
    if (op->output && op->output_bytes)
        *ops += 1;
}

/* One inference op by op, with the input written where it lies. */
static ferrolite_error in_place(const sine_input0 *input, sine_output0 *output)
{
    const ferrolite_observer observer = {0, count, &seen};
    sine_input0 *place = sine_input0_place(&net);
    if (!place)
        return FERROLITE_RUNNING;
    *place = *input;
    for (bool done = false; !done;) {
        ferrolite_error error = ferrolite_step_observed(&net.net, &observer, &done);
        if (error != FERROLITE_OK)
            return error;
        /* Other work goes here. */
    }
    const sine_output0 *result = sine_output0_place(&net);
    if (!result)
        return FERROLITE_NO_OUTPUT;
    *output = *result;
    return FERROLITE_OK;
}

static int failed(ferrolite_error error)
{
    say(ferrolite_error_message(error));
    return 1;
}

int main(void)
{
    ferrolite_error error = sine_bind(&net, &memory);
    if (error == FERROLITE_OK)
        error = sine_self_test(&net);
    if (error != FERROLITE_OK)
        return failed(error);
    for (size_t sample = 0; sample < SAMPLES; sample++) {
        sine_output0 copied, stepped;
        error = sine_run(&net, &inputs[sample], &copied);
        if (error == FERROLITE_OK)
            error = in_place(&inputs[sample], &stepped);
        if (error != FERROLITE_OK)
            return failed(error);
        if (memcmp(&copied, &outputs[sample], sizeof copied) || memcmp(&stepped, &copied, sizeof copied)) {
            say("an answer is not the host's");
            return 1;
        }
    }
    if (!seen) {
        say("the observer has seen nothing");
        return 1;
    }
    say("the sines are the host's");
    return 0;
}
