/* Text that is safe on a terminal. Names come from models of strangers. */
#include "core/utf8.h"
#include "nibble.h"

#include <string.h>

void nibble_defuse(char *text, const char *kept)
{
    unsigned char *at = (unsigned char *)text;
    while (*at) {
        uint32_t code = 0;
        size_t length = utf8_next(at, &code);
        bool stays = code <= 0x7F && kept && strchr(kept, (int)code);
        if (length == 0 || (utf8_is_active(code) && !stays))
            memset(at, '?', length ? length : 1);
        at += length ? length : 1;
    }
}
