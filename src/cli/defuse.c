/* Text that is safe on a terminal. Names come from models of strangers. */
#include "cli/terminal.h"

#include <stdint.h>
#include <string.h>

/* The length of the UTF-8 sequence, and the character. 0: it is none. */
static size_t sequence(const unsigned char *s, uint32_t *character)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {
        {0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (size_t n = 0; n < sizeof forms / sizeof *forms; n++) {
        if ((*s & forms[n].mask) != forms[n].lead)
            continue;
        uint32_t c = *s & (unsigned char)~forms[n].mask;
        for (size_t i = 1; i <= n; i++) {
            if ((s[i] & 0xC0) != 0x80)
                return 0;
            c = c << 6 | (s[i] & 0x3Fu);
        }
        *character = c;
        return c < forms[n].least || c > 0x10FFFF ? 0 : n + 1;
    }
    return 0;
}

/* Controls, and characters that change the order or the lines of the text around them. */
static bool is_active(uint32_t c, const char *kept)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0x01, 0x1F},     {0x7F, 0x9F},     {0x61C, 0x61C},  {0x200E, 0x200F},
                  {0x2028, 0x202E}, {0x2066, 0x2069}, {0xFEFF, 0xFEFF}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return c > 0x7F || !strchr(kept, (int)c);
    return false;
}

void defuse(char *text, const char *kept)
{
    unsigned char *at = (unsigned char *)text;
    while (*at) {
        uint32_t character = 0;
        size_t length = sequence(at, &character);
        bool safe = length > 0 && !is_active(character, kept);
        length = length ? length : 1;
        if (!safe)
            memset(at, '?', length);
        at += length;
    }
}
