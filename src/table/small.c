/*
 * small.c - randmap:{one, other}, environ:, fail:
 *
 * As in Postfix: randmap: gives one of its results to any question; environ: gives the value of the
 * environment variable that the key names, in lower case; fail: can never be asked, for tests of what
 * happens then.
 */
#include "base/rand.h"
#include "table/table_private.h"

#include <errno.h>

struct results {
        size_t count;
        struct str list[];
};

/* The words stand behind the list, in the same memory. */
static int rand_open(struct table_text *text, void **contents)
{
        struct str rest;
        if (!braces_open(str_make(text->bytes, text->len), &rest) || str_is_empty(rest))
                return text_fault(text, 0, -EINVAL, "table-syntax",
                                  "write randmap:{result, result}",
                                  "a randmap: table needs results between { and }");
        size_t count = 0;
        struct str item;
        for (struct str counted = rest; item_next(&counted, &item);)
                count++;
        struct results *r = malloc(sizeof(*r) + sizeof(*r->list) * count + rest.len);
        if (!r)
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        char *words = (char *)&r->list[count];
        r->count = 0;
        while (item_next(&rest, &item)) {
                memcpy(words, item.ptr, item.len);
                r->list[r->count++] = str_make(words, item.len);
                words += item.len;
        }
        if (r->count == 0) {
                free(r);
                return text_fault(text, 0, -EINVAL, "table-syntax",
                                  "write randmap:{result, result}", "a randmap: without a result");
        }
        *contents = r;
        return 0;
}

static enum table_result rand_find(const void *contents, const struct table_query *query)
{
        const struct results *r = contents;
        *query->value = arena_str(query->arena, r->list[rand_below(r->count)]);
        return TABLE_FOUND;
}

const struct table_type table_type_randmap = {
        .name = "randmap",
        .source = SOURCE_NAME,
        .is_pattern = true,
        .has_any_key = true,
        .bytes_max = 1 << 20,
        .open = rand_open,
        .find = rand_find,
        .free = free,
};

/* ---- environ: and fail:, whose names mean nothing ---- */
static int nothing_open(struct table_text *text, void **contents)
{
        *contents = NULL;
        return 0;
}

static enum table_result environ_find(const void *contents, const struct table_query *query)
{
        char name[TABLE_KEY_BYTES_MAX + 1];
        if (query->key.len >= sizeof(name) || memchr(query->key.ptr, '\0', query->key.len))
                return TABLE_NOT_FOUND;
        memcpy(name, query->key.ptr, query->key.len);
        name[query->key.len] = '\0';
        const char *value = getenv(name);
        if (!value)
                return TABLE_NOT_FOUND;
        *query->value = arena_str(query->arena, str_from(value));
        return TABLE_FOUND;
}

const struct table_type table_type_environ = {
        .name = "environ",
        .source = SOURCE_NAME,
        .folds_key = true,
        .bytes_max = 1000,
        .open = nothing_open,
        .find = environ_find,
        .free = free,
};

static enum table_result fail_find(const void *contents, const struct table_query *query)
{
        why_set(query->why, -EIO, "a table of type fail: always fails");
        return TABLE_ERROR;
}

const struct table_type table_type_fail = {
        .name = "fail",
        .source = SOURCE_NAME,
        .is_pattern = true,
        .bytes_max = 1000,
        .open = nothing_open,
        .find = fail_find,
        .free = free,
};
