/* Reading UTF-8, and which characters a terminal acts on. */
#ifndef NIBBLE_CORE_UTF8_H
#define NIBBLE_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns the length of the character at `s` and sets its code point. Returns 0 if the
 * bytes are not UTF-8 in its shortest form, or mean a surrogate or no character. */
size_t utf8_next(const unsigned char *s, uint32_t *code);

/* True for characters that a terminal acts on and does not show: C0, DEL, C1, separators
 * of lines and paragraphs, and characters that change the direction of writing. */
bool utf8_is_active(uint32_t code);

#endif
