/* What regcomp does with a pattern grows with its length, with the depth of its groups,
 * with the product of nested repetitions, and with the square of the parts that may be
 * empty. With back references the time of regexec can grow exponentially. This file does
 * not check the syntax: regcomp does. */
#include "plan/pattern.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum {
    LENGTH_MAX = 16384,
    PATTERN_DEPTH = 100,
    PATTERN_SIZE = 50000,   /* characters, once all repetitions are written out */
    PATTERN_OPTIONS = 1000, /* parts that may be left out, counted in the same way */
    REPEAT_MAX = 1000,
};

struct pattern_amount {
    size_t size, options;
};

/* What was read in a group. */
struct pattern_group {
    struct pattern_amount before; /* all but the last part */
    struct pattern_amount last;   /* the part that a repetition multiplies */
};

struct pattern_reader {
    const char *at;
    struct pattern_group groups[PATTERN_DEPTH + 1];
    size_t depth;
    const char *problem;
};

static struct pattern_amount amount_of(const struct pattern_group *group)
{
    return (struct pattern_amount){group->before.size + group->last.size,
                                   group->before.options + group->last.options};
}

static void check_amount(struct pattern_reader *r)
{
    const struct pattern_amount all = amount_of(&r->groups[r->depth]);
    if (all.size > PATTERN_SIZE)
        r->problem = "its repetitions make it too long";
    if (all.options > PATTERN_OPTIONS)
        r->problem = "too many of its parts may be left out";
}

static void add_part(struct pattern_reader *r, struct pattern_amount part)
{
    struct pattern_group *group = &r->groups[r->depth];
    group->before = amount_of(group);
    group->last = part;
    check_amount(r);
}

static void add_character(struct pattern_reader *r)
{
    add_part(r, (struct pattern_amount){1, 0});
}

/* The last part, at the least and at the most so many times. */
static void repeat(struct pattern_reader *r, size_t least, size_t most)
{
    struct pattern_amount *last = &r->groups[r->depth].last;
    if (most > REPEAT_MAX) {
        r->problem = "its repetitions make it too long";
        return;
    }
    const size_t times = most ? most : 1;
    last->size *= times;
    last->options = (last->options + (least == 0)) * times;
    check_amount(r);
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
    add_character(r);
}

/* Reads "{M}", "{M,}", "{M,N}" or "{,N}" behind the brace. */
static void read_interval(struct pattern_reader *r)
{
    char *end;
    unsigned long least = strtoul(r->at, &end, 10), most = least;
    if (*end == ',') {
        unsigned long n = strtoul(end + 1, &end, 10);
        most = n > least ? n : least + 1;
    }
    if (*end != '}' || (!isdigit((unsigned char)*r->at) && *r->at != ',')) {
        add_character(r);
        return;
    }
    repeat(r, least, most > REPEAT_MAX ? REPEAT_MAX + 1 : most);
    r->at = end + 1;
}

static void open_group(struct pattern_reader *r)
{
    if (r->depth == PATTERN_DEPTH) {
        r->problem = "its groups are nested too deeply";
        return;
    }
    r->groups[++r->depth] = (struct pattern_group){.before = {1, 0}};
}

static void close_group(struct pattern_reader *r)
{
    if (r->depth == 0) {
        add_character(r);
        return;
    }
    const struct pattern_group inner = r->groups[r->depth--];
    add_part(r, amount_of(&inner));
}

static void read_escape(struct pattern_reader *r)
{
    if (*r->at >= '1' && *r->at <= '9')
        r->problem = "nibble takes no back references";
    r->at += *r->at != '\0';
    add_character(r);
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
    case '?':
        repeat(r, 0, 1);
        break;
    case '+': /* written out as xx* */
        repeat(r, 1, 2);
        break;
    default:
        add_character(r);
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
