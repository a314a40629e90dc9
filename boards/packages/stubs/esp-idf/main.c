/* ESP-IDF's start calls app_main. */
#include <unistd.h>

void app_main(void);

int main(void)
{
    app_main();
    /* The emulator ends with the program; the C library's start would wait for ever. */
    _exit(0);
}
