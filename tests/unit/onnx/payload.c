/* The table of payloads: they keep their address, and foreign pointers are told
 * from theirs. */
#include "onnx/payload.h"
#include "support.h"

enum { MANY = 20000 };

static void test_addresses(void **state)
{
    (void)state;
    struct payloads payloads = {0};
    struct payload **all = hold(MANY * sizeof *all);
    uint8_t byte = 0;
    for (uint64_t i = 0; i < MANY; i++) {
        all[i] = payload_add(&payloads, &byte, i, NULL);
        assert_non_null(all[i]);
    }
    for (uint64_t i = 0; i < MANY; i++) {
        assert_int_equal(all[i]->size, i);
        assert_ptr_equal(all[i]->data, &byte);
        assert_null(all[i]->output);
        assert_ptr_equal(payload_at(&payloads, all[i]), all[i]);
    }
    size_t count = payloads.used; /* all chunks but the last are full */
    for (size_t i = 0; i + 1 < payloads.chunk_count; i++)
        count += (size_t)PAYLOAD_FIRST_CHUNK << i;
    assert_int_equal(count, MANY);
    payloads_free(&payloads);
    assert_int_equal(payloads.chunk_count, 0);
    assert_null(payload_at(&payloads, all[0]));
}

static void test_foreign_pointers(void **state)
{
    (void)state;
    struct payloads payloads = {0};
    int local = 0;
    assert_null(payload_at(&payloads, &local));
    for (int i = 0; i < MANY; i++)
        payload_add(&payloads, NULL, 1, NULL);
    assert_null(payload_at(&payloads, &local));
    assert_null(payload_at(&payloads, &payloads));
    assert_null(payload_at(&payloads, NULL));
    assert_null(payload_at(&payloads, "text"));
    for (int i = 0; i < 1000; i++)
        assert_null(payload_at(&payloads, hold(sizeof(struct payload))));
    for (size_t i = 0; i < payloads.chunk_count; i++) {
        const struct payload *begin = payloads.chunks[i];
        assert_null(payload_at(&payloads, (const char *)begin - 1));
        size_t length = (size_t)PAYLOAD_FIRST_CHUNK << i;
        assert_null(payload_at(&payloads, (const char *)begin + length * sizeof *begin));
    }
    payloads_free(&payloads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_addresses),
        TEST(test_foreign_pointers),
    };
    return RUN(tests);
}
