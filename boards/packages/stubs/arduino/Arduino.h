// What a sketch of the examples uses of Arduino's core.
#pragma once

#include <stdint.h>

void setup();
void loop();
void delay(unsigned long milliseconds);

struct Port {
    void begin(unsigned long) {}
    void println(const char *text);
    void println(float number, int digits);
};
extern Port Serial;
