/*
 * combined.c - tables made of tables: unionmap:{type:name, ...} and pipemap:{type:name, ...}
 *
 * unionmap: asks all and joins what they say by commas; pipemap: asks the next what the one before
 * said. When one of them cannot be asked, nor can the whole. Both are asked whole addresses only, as
 * in Postfix.
 */
#include "table/table_private.h"

#include <errno.h>

enum { MEMBERS_MAX = 100, DEPTH_MAX = 8 };

struct members {
        size_t count;
        struct table *list[];
};

static int members_open(struct table_text *text, void **contents, const char *type)
{
        struct str rest;
        char cure[100];
        snprintf(cure, sizeof(cure), "write %s:{type:name, type:name}", type);
        if (!braces_open(str_make(text->bytes, text->len), &rest) || str_is_empty(rest))
                return text_fault(text, 0, -EINVAL, "table-syntax", cure,
                                  "a %s: table needs tables between { and }", type);
        if (text->depth >= DEPTH_MAX)
                return text_fault(text, 0, -ELOOP, "table-syntax", NULL,
                                  "tables made of tables, more than %d deep", DEPTH_MAX);
        struct members *m = calloc(1, sizeof(*m) + sizeof(*m->list) * MEMBERS_MAX);
        if (!m)
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        struct str item;
        while (item_next(&rest, &item)) {
                int error = 0;
                if (m->count == MEMBERS_MAX)
                        error = text_fault(text, 0, -E2BIG, "table-syntax", NULL,
                                           "more than %d tables in a %s:", MEMBERS_MAX, type);
                struct table *t =
                        error ? NULL
                              : table_set_open_spec(text->set, item, text->at, text->depth + 1,
                                                    text->findings, text->fault);
                if (!t) {
                        error = error ? error : text->fault->error;
                        free(m);
                        return error;
                }
                m->list[m->count++] = t;
        }
        *contents = m;
        return 0;
}

/* ---- unionmap ---- */
static int union_open(struct table_text *text, void **contents)
{
        return members_open(text, contents, "unionmap");
}

static enum table_result await_union_find(const void *contents, const struct table_query *query)
{
        const struct members *m = contents;
        struct str all = STR("");
        for (size_t i = 0; i < m->count; i++) {
                struct str value = STR("");
                struct table_query part = *query;
                part.value = &value;
                if (await_table_query(m->list[i], &part) == TABLE_ERROR)
                        return TABLE_ERROR;
                if (value.len == 0)
                        continue;
                if (all.len + 1 + value.len > TABLE_RESULT_BYTES_MAX) {
                        why_set(query->why, -E2BIG, "together they say more than %d bytes",
                                TABLE_RESULT_BYTES_MAX);
                        return TABLE_ERROR;
                }
                all = all.len ? arena_printf(query->arena, "%.*s,%.*s", STR_ARG(all),
                                             STR_ARG(value))
                              : value;
        }
        if (all.len == 0)
                return TABLE_NOT_FOUND;
        *query->value = all;
        return TABLE_FOUND;
}

const struct table_type table_type_unionmap = {
        .name = "unionmap",
        .source = SOURCE_NAME,
        .is_pattern = true,
        .bytes_max = 1 << 20,
        .open = union_open,
        .find = await_union_find,
        .free = free,
};

/* ---- pipemap ---- */
static int pipe_open(struct table_text *text, void **contents)
{
        return members_open(text, contents, "pipemap");
}

static enum table_result await_pipe_find(const void *contents, const struct table_query *query)
{
        const struct members *m = contents;
        struct str value = query->key;
        for (size_t i = 0; i < m->count; i++) {
                struct str next = STR("");
                struct table_query part = *query;
                part.key = value;
                part.value = &next;
                enum table_result result = await_table_query(m->list[i], &part);
                if (result != TABLE_FOUND)
                        return result;
                if (next.len == 0)
                        return TABLE_NOT_FOUND;
                value = next;
        }
        *query->value = value;
        return TABLE_FOUND;
}

const struct table_type table_type_pipemap = {
        .name = "pipemap",
        .source = SOURCE_NAME,
        .is_pattern = true,
        .bytes_max = 1 << 20,
        .open = pipe_open,
        .find = await_pipe_find,
        .free = free,
};
