/* How the program speaks: through a debugger or emulator. */
#ifndef SAY_H
#define SAY_H

/* Prints a line. */
void say(const char *text);

#endif
