/* Text that is safe on a terminal. */
#include "nibble.h"
#include "support.h"

#include <string.h>

static void test_defuse(void **state)
{
    (void)state;
    static const struct {
        const char *text, *kept, *safe;
    } rows[] = {
        {"", NULL, ""},
        {"layer.0/weight", NULL, "layer.0/weight"},
        {"\xC3\xA4 \xE9\x87\x8F \xF0\x9F\xA6\x99", NULL, /* of 2, 3 and 4 bytes */
         "\xC3\xA4 \xE9\x87\x8F \xF0\x9F\xA6\x99"},
        {"\x1B[31m", NULL, "?[31m"},
        {"a\nb\tc\x7F", NULL, "a?b?c?"},
        {"a\nb\tc\x7F", "\n", "a\nb?c?"},
        {"\xC2\x9B", NULL, "??"},            /* C1 */
        {"\xE2\x80\xAE", NULL, "???"},       /* right to left */
        {"x\xFF\xC3", NULL, "x??"},          /* the end is missing */
        {"\xF0\x9F\xA6", NULL, "???"},       /* here, too */
        {"\xC0\xAF", NULL, "??"},            /* longer than needed */
        {"\xED\xA0\x80", NULL, "???"},       /* a surrogate */
        {"\xF4\x90\x80\x80", NULL, "????"},  /* beyond the last character */
        {"\xC3\xC3\xA4", NULL, "?\xC3\xA4"}, /* goes on behind a wrong byte */
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[32];
        strcpy(text, rows[i].text);
        nibble_defuse(text, rows[i].kept);
        assert_string_equal(text, rows[i].safe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_defuse)};
    return RUN(tests);
}
