/* What a product does with a model, and nothing else: for its size. */
#include "model.h"

static model_memory memory;
static model_net net;
static model_input0 input;
static model_output0 output;

int main(void)
{
    return model_bind(&net, &memory) != FERROLITE_OK || model_run(&net, &input, &output) != FERROLITE_OK;
}
