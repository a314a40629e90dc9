/* The functions of ferrolite.h that no example uses, and every error that a caller can make. `model.h` is of a model with
 * state, one input and two outputs. */
#include "ferrolite.h"
#include "model.h"
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

static model_memory memory;
static ferrolite_net net;
static FERROLITE_ALIGNED unsigned char copy[MODEL_MODEL_BYTES + 16];

/* A context that counts calls. */
struct calls {
    unsigned before, after;
    size_t bytes;
};

static void before(void *context, const ferrolite_op *op)
{
    ((struct calls *)context)->before += op->output == NULL;
}

static void after(void *context, const ferrolite_op *op)
{
    ((struct calls *)context)->after += op->output != NULL;
    ((struct calls *)context)->bytes += op->output_bytes;
}

static int unbound(void)
{
    size_t index = 0;
    bool done = false;
    CHECK(ferrolite_run(NULL) == FERROLITE_NULL);
    CHECK(ferrolite_run(&net) == FERROLITE_NOT_BOUND);
    CHECK(ferrolite_step(&net, &done) == FERROLITE_NOT_BOUND);
    CHECK(ferrolite_reset(&net) == FERROLITE_NOT_BOUND);
    CHECK(ferrolite_find_input(&net, "x", &index) == FERROLITE_NOT_BOUND);
    CHECK(ferrolite_self_test(&net, 1, 0) == FERROLITE_NOT_BOUND);
    CHECK(ferrolite_input_count(&net) == 0 && ferrolite_output_count(NULL) == 0);
    CHECK(ferrolite_state_bytes(&net) == 0 && ferrolite_last_detail(NULL).needed == 0);
    CHECK(ferrolite_op_name(&net, 0, &index) == NULL && index == 0);
    ferrolite_unbind(NULL);
    ferrolite_unbind(&net);
    return 0;
}

static int binding(void)
{
    ferrolite_program program = model_program;
    ferrolite_facts facts;
    CHECK(ferrolite_verify(&program, &facts) == FERROLITE_OK);
    CHECK(facts.arena_bytes == MODEL_ARENA_BYTES && facts.state_bytes == MODEL_STATE_BYTES);
    CHECK(facts.inputs == 1 && facts.outputs == 2 && facts.ops == 2 && facts.work > 0);
    CHECK(ferrolite_verify(&program, NULL) == FERROLITE_OK && ferrolite_verify(NULL, NULL) == FERROLITE_NULL);
    CHECK(ferrolite_bind(NULL, &program, memory.bytes, sizeof memory) == FERROLITE_NULL);
    CHECK(ferrolite_bind(&net, NULL, memory.bytes, sizeof memory) == FERROLITE_NULL);
    CHECK(ferrolite_bind(&net, &program, NULL, sizeof memory) == FERROLITE_NULL);
    CHECK(ferrolite_bind(&net, &program, memory.bytes, SIZE_MAX) == FERROLITE_NULL);
    CHECK(ferrolite_bind(&net, &program, memory.bytes, 16) == FERROLITE_ARENA_TOO_SMALL);
    CHECK(ferrolite_last_detail(&net).needed == MODEL_ARENA_BYTES && ferrolite_last_detail(&net).found == 16);
    CHECK(ferrolite_run(&net) == FERROLITE_NOT_BOUND);
    CHECK(ferrolite_bind(&net, &program, copy + 4, sizeof copy - 4) == FERROLITE_ARENA_MISALIGNED);

    program.operator_count = 1;
    CHECK(ferrolite_bind(&net, &program, memory.bytes, sizeof memory) == FERROLITE_OPERATOR_MISSING);
    CHECK(ferrolite_last_detail(&net).index == 0 && ferrolite_last_detail(&net).needed == model_operators[1].code);
    program.operators = NULL;
    CHECK(ferrolite_verify(&program, NULL) == FERROLITE_NULL);
    program = model_program;
    program.model = NULL;
    CHECK(ferrolite_verify(&program, NULL) == FERROLITE_NULL);

    /* Damaged files. */
    program = model_program;
    program.model = copy;
    memcpy(copy, model_model, MODEL_MODEL_BYTES);
    CHECK(ferrolite_verify(&program, NULL) == FERROLITE_OK && ferrolite_checksum(&model_program) == FERROLITE_CHECKSUM);
    program.model_bytes = 12;
    CHECK(ferrolite_verify(&program, NULL) != FERROLITE_OK);
    program.model_bytes = MODEL_MODEL_BYTES;
    copy[5] ^= 1;
    CHECK(ferrolite_verify(&program, NULL) == FERROLITE_NOT_A_MODEL);
    CHECK(ferrolite_checksum(&program) == FERROLITE_NOT_A_MODEL);
    memcpy(copy + 4, model_model, MODEL_MODEL_BYTES);
    program.model = copy + 4;
    CHECK(ferrolite_verify(&program, NULL) == FERROLITE_MODEL_MISALIGNED);
    for (size_t at = 0; at < MODEL_MODEL_BYTES; at++) {
        program.model = copy;
        memcpy(copy, model_model, MODEL_MODEL_BYTES);
        copy[at] ^= 0x55;
        if (ferrolite_bind(&net, &program, memory.bytes, sizeof memory) == FERROLITE_OK) {
            CHECK(ferrolite_set_input(&net, 0, &inputs[0], sizeof inputs[0]) != FERROLITE_NULL);
            (void)ferrolite_run(&net);
        }
    }
    return 0;
}

static int ports(void)
{
    size_t index = 9, bytes = 0;
    void *place = NULL;
    const void *result = NULL;
    unsigned char output[sizeof(model_output1)];
    ferrolite_port port;
    CHECK(ferrolite_input_count(&net) == 1 && ferrolite_output_count(&net) == 2);
    CHECK(ferrolite_find_input(&net, "no such name", &index) == FERROLITE_NO_SUCH_PORT && index == 9);
    CHECK(ferrolite_find_output(&net, NULL, &index) == FERROLITE_NULL);
    CHECK(ferrolite_input_facts(&net, 1, &port) == FERROLITE_NO_SUCH_PORT);
    CHECK(ferrolite_last_detail(&net).index == 1);
    CHECK(ferrolite_input_facts(&net, 0, NULL) == FERROLITE_NULL);
    CHECK(ferrolite_output_facts(&net, 1, &port) == FERROLITE_OK);
    CHECK(port.bytes == sizeof(model_output1) && port.element == FERROLITE_INT8 && port.rank >= 1);
    if (port.name_bytes) {
        char name[64] = {0};
        memcpy(name, port.name, port.name_bytes);
        CHECK(ferrolite_find_output(&net, name, &index) == FERROLITE_OK && index == 1);
    }

    CHECK(ferrolite_output(&net, 0, &result, &bytes) == FERROLITE_NO_OUTPUT);
    CHECK(ferrolite_run(&net) == FERROLITE_INPUT_MISSING && ferrolite_last_detail(&net).index == 0);
    CHECK(ferrolite_set_input(&net, 0, &inputs[0], 1) == FERROLITE_WRONG_SIZE);
    CHECK(ferrolite_last_detail(&net).needed == sizeof(model_input0) && ferrolite_last_detail(&net).found == 1);
    CHECK(ferrolite_set_input(&net, 0, NULL, sizeof(model_input0)) == FERROLITE_NULL);
    CHECK(ferrolite_run(&net) == FERROLITE_INPUT_MISSING);
    CHECK(ferrolite_input(&net, 7, &place, &bytes) == FERROLITE_NO_SUCH_PORT && place == NULL);
    CHECK(ferrolite_input(&net, 0, NULL, NULL) == FERROLITE_NULL);
    CHECK(ferrolite_input(&net, 0, &place, &bytes) == FERROLITE_OK && bytes == sizeof(model_input0));
    memcpy(place, &inputs[0], bytes);
    CHECK(ferrolite_run(&net) == FERROLITE_OK);
    CHECK(ferrolite_run(&net) == FERROLITE_INPUT_MISSING);
    CHECK(ferrolite_get_output(&net, 1, output, 1) == FERROLITE_WRONG_SIZE);
    CHECK(ferrolite_get_output(&net, 2, output, 1) == FERROLITE_NO_SUCH_PORT);
    CHECK(ferrolite_get_output(&net, 1, output, sizeof output) == FERROLITE_OK);
    CHECK(memcmp(output, &outputs1[0], sizeof output) == 0);
    CHECK(ferrolite_output(&net, 1, &result, NULL) == FERROLITE_OK && memcmp(result, output, sizeof output) == 0);
    return 0;
}

static int running(void)
{
    struct calls calls = {0};
    const ferrolite_observer observer = {before, after, &calls}, nobody = {NULL, NULL, NULL};
    unsigned char state[MODEL_STATE_BYTES];
    bool done = true;
    void *place = NULL;
    CHECK(ferrolite_reset(&net) == FERROLITE_OK);
    CHECK(ferrolite_step(&net, &done) == FERROLITE_INPUT_MISSING && done);
    CHECK(ferrolite_set_input(&net, 0, &inputs[0], sizeof inputs[0]) == FERROLITE_OK);
    CHECK(ferrolite_step(&net, &done) == FERROLITE_OK && !done);
    CHECK(ferrolite_input(&net, 0, &place, NULL) == FERROLITE_RUNNING && ferrolite_last_detail(&net).index == 1);
    CHECK(ferrolite_save(&net, state, sizeof state) == FERROLITE_RUNNING);
    CHECK(ferrolite_step_observed(&net, &nobody, NULL) == FERROLITE_OK);
    CHECK(ferrolite_save(&net, state, 1) == FERROLITE_WRONG_SIZE && ferrolite_last_detail(&net).found == 1);
    CHECK(ferrolite_restore(&net, state, sizeof state - 1) == FERROLITE_WRONG_SIZE);
    CHECK(ferrolite_save(&net, NULL, sizeof state) == FERROLITE_NULL);
    CHECK(ferrolite_state_bytes(&net) == sizeof state);
    CHECK(ferrolite_set_input(&net, 0, &inputs[1], sizeof inputs[1]) == FERROLITE_OK);
    CHECK(ferrolite_run_observed(&net, NULL) == FERROLITE_NULL);
    CHECK(ferrolite_run_observed(&net, &observer) == FERROLITE_OK);
    CHECK(calls.before == 2 && calls.after == 2 && calls.bytes == sizeof(model_output0) + sizeof(model_output1));
    CHECK(ferrolite_self_test(&net, 1, 12345) == FERROLITE_SELF_TEST && ferrolite_last_detail(&net).needed == 12345);
    return 0;
}

static int others(void)
{
    CHECK(strcmp(ferrolite_error_message(FERROLITE_OK), "no error") == 0);
    CHECK(strcmp(ferrolite_error_message(4000000000u), "an unknown error") == 0);
    for (uint32_t error = 0; error <= FERROLITE_NO_SUCH_ENTRY; error++)
        CHECK(strcmp(ferrolite_error_message(error), "an unknown error") != 0);
    CHECK(strcmp(ferrolite_error_message(FERROLITE_NO_SUCH_ENTRY + 1), "an unknown error") == 0);
    CHECK(ferrolite_quantize(0.5f, 0.25f, 3, -128, 127) == 5 && ferrolite_quantize(1e9f, 0.25f, 3, -128, 127) == 127);
    CHECK(ferrolite_dequantize(5, 0.25f, 3) == 0.5f);

    /* A net is its words, and may be moved. */
    ferrolite_net moved = net;
    CHECK(ferrolite_set_input(&moved, 0, &inputs[0], sizeof inputs[0]) == FERROLITE_OK);
    CHECK(ferrolite_run(&moved) == FERROLITE_OK);
    ferrolite_unbind(&moved);
    CHECK(ferrolite_run(&moved) == FERROLITE_NOT_BOUND);
    return 0;
}

int main(void)
{
    if (unbound() || binding())
        return 1;
    memset(&net, 0xA5, sizeof net);
    if (ferrolite_bind(&net, &model_program, memory.bytes, sizeof memory) != FERROLITE_OK)
        return 1;
    if (ports() || running() || others())
        return 1;
    puts("all as it should be");
    return 0;
}
