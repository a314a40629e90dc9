/* A model with state: it answers with what it has heard so far. The state is saved, restored and reset on the way, and
 * answers are compared byte for byte with those of the host. */
#include "samples.h"
#include "say.h"
#include "stream.h"

#include <string.h>

static stream_memory memory;
static stream_net net;

static ferrolite_error error;

/* Runs samples from `first` on, before `end`; whether their answers are the host's. */
static bool answers(size_t first, size_t end)
{
    for (size_t sample = first; sample < end; sample++) {
        stream_output0 window;
        stream_output1 scores;
        error = stream_run(&net, &inputs[sample], &window, &scores);
        if (error != FERROLITE_OK)
            return false;
        if (memcmp(&window, &outputs[sample], sizeof window) || memcmp(&scores, &outputs1[sample], sizeof scores))
            return false;
    }
    return true;
}

int main(void)
{
    static stream_state half;
    error = stream_bind(&net, &memory);
    bool right = error == FERROLITE_OK && answers(0, SAMPLES / 2);
    if (right)
        error = stream_save(&net, &half);
    right = right && error == FERROLITE_OK && answers(SAMPLES / 2, SAMPLES);
    /* From the middle again, and from the start again. */
    if (right)
        error = stream_restore(&net, &half);
    right = right && error == FERROLITE_OK && answers(SAMPLES / 2, SAMPLES);
    if (right)
        error = stream_reset(&net);
    right = right && error == FERROLITE_OK && answers(0, SAMPLES);
    if (right)
        error = stream_self_test(&net);
    if (!right || error != FERROLITE_OK) {
        say(error == FERROLITE_OK ? "an answer is not the host's" : ferrolite_error_message(error));
        return 1;
    }
    say("the stream's answers are the host's");
    return 0;
}
