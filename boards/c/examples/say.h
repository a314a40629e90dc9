/* How the examples speak: with printf's puts on a PC, and through a debugger or emulator on a board (converter/src/project/templates/c). */
#ifndef SAY_H
#define SAY_H

#ifdef __cplusplus
extern "C" {
#endif

/* Prints a line. */
void say(const char *text);

#ifdef __cplusplus
}
#endif

#endif
