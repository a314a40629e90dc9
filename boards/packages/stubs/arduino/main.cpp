// Runs a sketch: setup, and loop some times.
#include "Arduino.h"

extern "C" void say(const char *text);

Port Serial;

void delay(unsigned long) {}

void Port::println(const char *text)
{
    say(text);
}

void Port::println(float number, int digits)
{
    long scale = 1;
    for (int i = 0; i < digits; i++)
        scale *= 10;
    long whole = static_cast<long>(number * static_cast<float>(scale));
    char text[24];
    char *at = text + sizeof text;
    *--at = 0;
    unsigned long rest = static_cast<unsigned long>(whole < 0 ? -whole : whole);
    for (int place = 0; place <= digits || rest; place++, rest /= 10) {
        if (place == digits && digits)
            *--at = '.';
        *--at = static_cast<char>('0' + rest % 10);
    }
    if (whole < 0)
        *--at = '-';
    say(at);
}

int main()
{
    setup();
    for (int i = 0; i < 4; i++)
        loop();
    return 0;
}
