// Computes sines with a network of three layers. `sine.h` and `sine.c` are what `ferrolite convert --c sine.h` writes;
// put those of your model in their place.
#include <ferrolite.h>

#include "sine.h"

static sine_memory memory;
static sine_net net;
static bool ready = false;

void setup()
{
    Serial.begin(115200);
    ferrolite_error error = sine_bind(&net, &memory);
    if (error == FERROLITE_OK)
        error = sine_self_test(&net);
    ready = error == FERROLITE_OK;
    Serial.println(ready ? "self-test: passed" : ferrolite_error_message(error));
}

void loop()
{
    static float angle = 0.0f;
    sine_input0 input;
    sine_output0 output;
    input.data[0] = sine_input0_quantize(angle);
    if (ready && sine_run(&net, &input, &output) == FERROLITE_OK)
        Serial.println(sine_output0_dequantize(output.data[0]), 3);
    angle = angle < 6.2f ? angle + 0.1f : 0.0f;
    delay(100);
}
