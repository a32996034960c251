/* What regcomp does with a pattern grows with its length, with the depth of its groups,
 * and with the product of nested repetitions. With back references the time of regexec
 * can grow exponentially. This file does not check the syntax: regcomp does. */
#include "plan/pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_MAX = 16384,
    PATTERN_DEPTH = 100,
    PATTERN_SIZE = 50000, /* characters, once all repetitions are written out */
    REPEAT_MAX = 1000,
};

/* The sizes of what was read in a group. */
struct pattern_group {
    size_t size; /* of all but the last part */
    size_t last; /* of the last part, which a repetition multiplies */
};

struct pattern_reader {
    const char *at;
    struct pattern_group groups[PATTERN_DEPTH + 1];
    size_t depth;
    const char *problem;
};

static void add_part(struct pattern_reader *r, size_t size)
{
    struct pattern_group *group = &r->groups[r->depth];
    group->size += group->last;
    group->last = size;
    if (group->size + size > PATTERN_SIZE)
        r->problem = "its repetitions make it too long";
}

static void repeat(struct pattern_reader *r, size_t times)
{
    struct pattern_group *group = &r->groups[r->depth];
    if (times > REPEAT_MAX || group->last * times > PATTERN_SIZE)
        r->problem = "its repetitions make it too long";
    else
        group->last *= times ? times : 1;
}

/* Skips "[...]". A "]" at its beginning, and those of "[:name:]", do not end it. */
static void read_set(struct pattern_reader *r)
{
    const char *at = r->at;
    at += *at == '^';
    at += *at == ']';
    while (*at && *at != ']') {
        if (*at == '[' && at[1] && strchr(":.=", at[1])) {
            const char close[] = {at[1], ']', '\0'};
            const char *end = strstr(at + 2, close);
            at = end ? end + 1 : at;
        }
        at++;
    }
    r->at = at + (*at == ']');
    add_part(r, 1);
}

/* Reads "{M}", "{M,}", "{M,N}" or "{,N}" behind the brace. */
static void read_interval(struct pattern_reader *r)
{
    char *end;
    unsigned long most = strtoul(r->at, &end, 10);
    if (*end == ',') {
        unsigned long n = strtoul(end + 1, &end, 10);
        most = n > most ? n : most + 1;
    }
    if (*end != '}' || (!isdigit((unsigned char)*r->at) && *r->at != ',')) {
        add_part(r, 1);
        return;
    }
    repeat(r, most > REPEAT_MAX ? REPEAT_MAX + 1 : most);
    r->at = end + 1;
}

static void open_group(struct pattern_reader *r)
{
    if (r->depth == PATTERN_DEPTH) {
        r->problem = "its groups are nested too deeply";
        return;
    }
    r->groups[++r->depth] = (struct pattern_group){1, 0};
}

static void close_group(struct pattern_reader *r)
{
    if (r->depth == 0) {
        add_part(r, 1);
        return;
    }
    const struct pattern_group inner = r->groups[r->depth--];
    add_part(r, inner.size + inner.last);
}

static void read_escape(struct pattern_reader *r)
{
    if (*r->at >= '1' && *r->at <= '9')
        r->problem = "nibble takes no back references";
    r->at += *r->at != '\0';
    add_part(r, 1);
}

static void read_part(struct pattern_reader *r)
{
    switch (*r->at++) {
    case '\\':
        read_escape(r);
        break;
    case '[':
        read_set(r);
        break;
    case '{':
        read_interval(r);
        break;
    case '(':
        open_group(r);
        break;
    case ')':
        close_group(r);
        break;
    case '*':
    case '?': /* the next repetition repeats all of it */
        repeat(r, 1);
        break;
    case '+': /* written out as xx* */
        repeat(r, 2);
        break;
    default:
        add_part(r, 1);
    }
}

bool pattern_check(const char *option, const char *pattern, struct error *err)
{
    struct pattern_reader r = {.at = pattern};
    if (strlen(pattern) > LENGTH_MAX)
        r.problem = "it is too long";
    while (*r.at && !r.problem)
        read_part(&r);
    return !r.problem ||
           error_set(err, STATUS_INVALID, "%s: '%.100s%s' is too complicated: %s", option,
                     pattern, strlen(pattern) > 100 ? "..." : "", r.problem);
}
