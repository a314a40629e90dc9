/* Entry points by name and by type. `gauge.h` is of the signatures in tests/import/signatures, `samples.h` the host's
 * answers to its first program. */
#include "samples.h"

#include <stdio.h>
#include <string.h>

#define CHECK(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);        \
            return 1;                                                     \
        }                                                                 \
    } while (0)

static gauge_memory memory;
static gauge_net net;

static int by_type(void)
{
    static gauge_output0 y;
    static gauge_peek_output0 fresh, level;
    static gauge_push_input0 push;
    static gauge_push_output0 pushed;
    static gauge_reset_output0 done;
    static gauge_state state;
    CHECK(gauge_run_peek(&net, &fresh) == FERROLITE_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t sample = 0; sample < SAMPLES; sample++) {
            CHECK(gauge_run(&net, &inputs[sample], &y) == FERROLITE_OK);
            CHECK(memcmp(&y, &outputs[sample], sizeof y) == 0);
            /* Looking changes nothing. */
            CHECK(gauge_run_peek(&net, &level) == FERROLITE_OK);
        }
        CHECK(memcmp(&level, &fresh, sizeof level) != 0);
        CHECK(gauge_run_push(&net, &push, &pushed) == FERROLITE_OK);
        CHECK(gauge_save(&net, &state) == FERROLITE_OK && gauge_restore(&net, &state) == FERROLITE_OK);
        CHECK(gauge_run_reset(&net, &done) == FERROLITE_OK);
        CHECK(gauge_run_peek(&net, &level) == FERROLITE_OK);
        CHECK(memcmp(&level, &fresh, sizeof level) == 0);
    }
    /* In place. */
    CHECK(gauge_enter_step(&net) == FERROLITE_OK);
    gauge_input0 *place = gauge_input0_place(&net);
    CHECK(place != NULL);
    *place = inputs[0];
    CHECK(ferrolite_run(&net.net) == FERROLITE_OK);
    CHECK(memcmp(gauge_output0_place(&net), &outputs[0], sizeof y) == 0);
    return 0;
}

static int by_name(void)
{
    static gauge_net other;
    static gauge_memory room;
    ferrolite_entry step, peek;
    ferrolite_program program = gauge_program;
    memset(&step, 0x22, sizeof step);
    CHECK(ferrolite_enter(&net.net, &step) == FERROLITE_NO_SUCH_ENTRY);
    CHECK(ferrolite_enter(&net.net, NULL) == FERROLITE_NULL);
    CHECK(ferrolite_find_entry(&net.net, NULL, &step) == FERROLITE_NULL);
    CHECK(ferrolite_find_entry(&net.net, "step", NULL) == FERROLITE_NULL);
    CHECK(ferrolite_find_entry(&net.net, "stop", &step) == FERROLITE_NO_SUCH_ENTRY);
    CHECK(ferrolite_enter(&net.net, &step) == FERROLITE_NO_SUCH_ENTRY);
    CHECK(ferrolite_find_entry(&other.net, "step", &step) == FERROLITE_NOT_BOUND);
    CHECK(ferrolite_find_entry(&net.net, "step", &step) == FERROLITE_OK);
    CHECK(ferrolite_find_entry(&net.net, "peek", &peek) == FERROLITE_OK);
    CHECK(ferrolite_enter(&other.net, &step) == FERROLITE_NOT_BOUND);
    CHECK(ferrolite_enter(&net.net, &peek) == FERROLITE_OK);
    CHECK(ferrolite_input_count(&net.net) == 0 && ferrolite_output_count(&net.net) == 1);
    CHECK(ferrolite_run(&net.net) == FERROLITE_OK);
    CHECK(ferrolite_enter(&net.net, &step) == FERROLITE_OK);
    CHECK(ferrolite_run(&net.net) == FERROLITE_INPUT_MISSING);
    CHECK(ferrolite_input_count(&net.net) == 1);
    /* The same bytes elsewhere are another model. */
    static FERROLITE_ALIGNED unsigned char copy[GAUGE_MODEL_BYTES];
    memcpy(copy, gauge_model, sizeof copy);
    program.model = copy;
    CHECK(ferrolite_bind(&other.net, &program, room.bytes, sizeof room.bytes) == FERROLITE_OK);
    CHECK(ferrolite_enter(&other.net, &step) == FERROLITE_NO_SUCH_ENTRY);
    return 0;
}

int main(void)
{
    CHECK(gauge_bind(&net, &memory) == FERROLITE_OK);
    CHECK(gauge_self_test(&net) == FERROLITE_OK);
    if (by_type() || by_name())
        return 1;
    CHECK(gauge_self_test(&net) == FERROLITE_OK);
    puts("entries are as they should be");
    return 0;
}
