/*
 * inline.c - tables that stand in main.cf itself
 *
 *   inline:{ key=value, { key = value with blanks }, ... }
 *   static:value, static:{ text with blanks }
 *
 * Of several inline entries with one key the last counts, as in Postfix (in a file it is the
 * first).
 */
#include "table/table_private.h"

#include <errno.h>

/* Splits "key = value"; an error when there is no '='. */
static int pair_split(const struct table_text *text, struct str item, struct str *key,
                      struct str *value)
{
        struct str pair = item;
        if (item.ptr[0] == '{' && !braces_open(item, &pair))
                return text_fault(text, 0, -EINVAL, "table-syntax", "write { key = value }",
                                  "unbalanced braces at \"%.*s\"",
                                  (int)(item.len > 80 ? 80 : item.len), item.ptr);
        ptrdiff_t equals = str_find(pair, '=');
        if (equals < 0)
                return text_fault(text, 0, -EINVAL, "table-syntax",
                                  "write key=value, or { key = value with blanks }",
                                  "\"%.*s\" of an inline table has no '='",
                                  (int)(pair.len > 80 ? 80 : pair.len), pair.ptr);
        *key = str_trim(str_part(pair, 0, (size_t)equals));
        *value = str_trim(str_tail(pair, (size_t)equals + 1));
        if (str_is_empty(*key) || key->len > TABLE_KEY_BYTES_MAX)
                return text_fault(text, 0, -EINVAL, "table-syntax", NULL,
                                  "an inline table needs keys of 1 to %d bytes",
                                  TABLE_KEY_BYTES_MAX);
        return 0;
}

/* Puts one entry at the end of the block, or over the old value of its key. */
static void pair_put(struct text_map *m, size_t *used, struct str key, struct str value)
{
        char *out = m->block + *used;
        for (size_t i = 0; i < key.len; i++)
                out[i] = char_lower(key.ptr[i]);
        out[key.len] = '\0';
        if (value.len)
                memcpy(out + key.len + 1, value.ptr, value.len);
        out[key.len + 1 + value.len] = '\0';
        uint32_t there = text_map_put(m, (uint32_t)*used, key.len);
        if (there == *used)
                *used += key.len + value.len + 2;
}

/*
 * From the last to the first, so that the last of one key is the one that is kept. Returns how many
 * items there are when `items` is NULL.
 */
static size_t items_collect(struct str rest, struct str *items)
{
        size_t count = 0;
        struct str item;
        while (item_next(&rest, &item)) {
                if (items)
                        items[count] = item;
                count++;
        }
        return count;
}

static int pairs_put(struct table_text *text, struct text_map *m, const struct str *items,
                     size_t count)
{
        size_t used = 0;
        int duplicates = 0;
        for (size_t i = count; i-- > 0;) {
                struct str key = STR("");
                struct str value = STR("");
                int error = pair_split(text, items[i], &key, &value);
                if (error)
                        return error;
                size_t before = used;
                pair_put(m, &used, key, value);
                if (used == before)
                        text_doubt(text, 0, &duplicates, "table-duplicate",
                                   "take one of the two away",
                                   "\"%.*s\" stands twice in an inline table; the last counts",
                                   (int)(key.len > 80 ? 80 : key.len), key.ptr);
        }
        m->block_len = used;
        return 0;
}

static int inline_open(struct table_text *text, void **contents)
{
        struct str list;
        if (!braces_open(str_make(text->bytes, text->len), &list) || str_is_empty(list))
                return text_fault(text, 0, -EINVAL, "table-syntax",
                                  "write inline:{ key=value, { key = value with blanks } }",
                                  "an inline table needs entries between { and }");
        size_t count = items_collect(list, NULL);
        struct str *items = calloc(count, sizeof(*items));
        struct text_map *m = malloc(sizeof(*m));
        /* An entry has '=' and a separator behind it: two bytes, as its record. */
        char *block = malloc(list.len + 2);
        if (!items || !m || !block) {
                free(items);
                free(m);
                free(block);
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        }
        items_collect(list, items);
        text_map_init(m, block, count);
        int error = pairs_put(text, m, items, count);
        free(items);
        if (error) {
                text_map_free(m);
                return error;
        }
        *contents = m;
        return 0;
}

const struct table_type table_type_inline = {
        .name = "inline",
        .source = SOURCE_NAME,
        .folds_key = true,
        .bytes_max = 1 << 20,
        .open = inline_open,
        .find = text_map_query,
        .free = text_map_free,
        .count = text_map_count,
        .each = text_map_each,
};

/* ---- static: ---- */
static int static_open(struct table_text *text, void **contents)
{
        struct str value = str_make(text->bytes, text->len);
        if (text->len && text->bytes[0] == '{' && !braces_open(value, &value))
                return text_fault(text, 0, -EINVAL, "table-syntax", "write static:{ text }",
                                  "unbalanced braces in a static table");
        char *kept = strndup(value.ptr, value.len);
        if (!kept)
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        *contents = kept;
        return 0;
}

static enum table_result static_find(const void *contents, const struct table_query *query)
{
        *query->value = arena_str(query->arena, str_from(contents));
        return TABLE_FOUND;
}

const struct table_type table_type_static = {
        .name = "static",
        .source = SOURCE_NAME,
        .has_any_key = true,
        .bytes_max = 1 << 20,
        .open = static_open,
        .find = static_find,
        .free = free,
};
