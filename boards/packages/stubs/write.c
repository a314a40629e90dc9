/* What the C library's printing needs: a place where characters go. */
#include "say.h"

#include <errno.h>
#include <stddef.h>
#include <sys/stat.h>

int _write(int file, const char *text, int bytes);
void *_sbrk(ptrdiff_t bytes);
int _close(int file);
int _fstat(int file, struct stat *status);
int _isatty(int file);
int _lseek(int file, int offset, int whence);
int _read(int file, char *text, int bytes);

/* Semihosting takes lines; the C library hands over whole ones or parts of them. */
static char line[128];
static int used;

int _write(int file, const char *text, int bytes)
{
    (void)file;
    for (int i = 0; i < bytes; i++) {
        if (text[i] == '\n' || used + 1 == (int)sizeof line) {
            line[used] = 0;
            used = 0;
            say(line);
        } else {
            line[used++] = text[i];
        }
    }
    return bytes;
}

/* The C library's buffers. */
void *_sbrk(ptrdiff_t bytes)
{
    static char heap[2048] __attribute__((aligned(8)));
    static ptrdiff_t end;
    if (bytes < 0 || end + bytes > (ptrdiff_t)sizeof heap) {
        errno = ENOMEM;
        return (void *)-1;
    }
    end += bytes;
    return heap + end - bytes;
}

int _close(int file)
{
    (void)file;
    return -1;
}

int _fstat(int file, struct stat *status)
{
    (void)file;
    status->st_mode = S_IFCHR;
    return 0;
}

int _isatty(int file)
{
    (void)file;
    return 1;
}

int _lseek(int file, int offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    return 0;
}

int _read(int file, char *text, int bytes)
{
    (void)file;
    (void)text;
    (void)bytes;
    return 0;
}
