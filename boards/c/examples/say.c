/* Lines on a PC. */
#include "say.h"

#include <stdio.h>

void say(const char *text)
{
    puts(text);
}
