// The sine of recorded angles with the classes of ferrolite.hpp, ports by type.
#include "ferrolite.hpp"
#include "samples.h"
#include "say.h"
#include "sine.h"

#include <algorithm>
#include <iterator>

namespace {

ferrolite::Arena<SINE_ARENA_BYTES> arena;

const char *answers()
{
    ferrolite::Net net;
    if (const ferrolite_error error = net.bind(sine_program, arena); error != FERROLITE_OK)
        return ferrolite::message(error);
    if (net.input<float>().error != FERROLITE_WRONG_TYPE)
        return "an input of int8 was taken for one of float";
    for (std::size_t sample = 0; sample < SAMPLES; sample++) {
        const auto input = net.input<std::int8_t>();
        if (!input || input.count != SINE_INPUT0_ELEMENTS)
            return ferrolite::message(input.error);
        std::copy(std::begin(inputs[sample].data), std::end(inputs[sample].data), input.begin());
        if (const ferrolite_error error = net.run(); error != FERROLITE_OK)
            return ferrolite::message(error);
        const auto output = net.output<std::int8_t>();
        if (!output || !std::equal(output.begin(), output.end(), std::begin(outputs[sample].data)))
            return "an answer is not the host's";
    }
    return nullptr;
}

// The functions of the model's header, with a net that gives itself up.
const char *typed()
{
    static sine_memory memory;
    sine_net net;
    if (const ferrolite_error error = sine_bind(&net, &memory); error != FERROLITE_OK)
        return ferrolite::message(error);
    {
        const ferrolite::Bound bound(net.net);
        sine_output0 output;
        if (const ferrolite_error error = sine_run(&net, &inputs[0], &output); error != FERROLITE_OK)
            return ferrolite::message(error);
    }
    return ferrolite_run(&net.net) == FERROLITE_NOT_BOUND ? nullptr : "a net was not given up";
}

} // namespace

int main()
{
    for (const auto part : {answers, typed}) {
        if (const char *wrong = part()) {
            say(wrong);
            return 1;
        }
    }
    say("the sines are the host's");
    return 0;
}
