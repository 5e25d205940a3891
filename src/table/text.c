/*
 * text.c - hash: btree: texthash: the text source of postmap(1), "key white-space value"
 *
 * As postmap does: a key in double quotes may have blanks and keeps its quotes; of several entries
 * with one key the first counts; a key without a value, a line with an open quote and a first line
 * that begins with a blank are no entries. Postfix says so when postmap runs; here each is a
 * finding.
 *
 * A text of hash: and btree: whose entries all have the form of aliases(5) is read as such: Postfix's
 * file was made by postalias then.
 *
 * Postfix folds keys by Unicode; here only ASCII letters are folded. Domain names that are asked
 * are ASCII (xn--), or the very bytes of the table.
 */
#include "table/table_private.h"

#include <errno.h>

struct doubts {
        int duplicates;
        int no_value;
        int quotes;
        int blank_start;
        int alias;
};

/*
 * Where the key ends: the first blank outside of quotes. `len` when there is none; -1: open quote.
 */
static ptrdiff_t key_end(const char *s, size_t len)
{
        bool is_quoted = false;
        for (size_t i = 0; i < len; i++) {
                if (s[i] == '\\' && i + 1 < len)
                        i++;
                else if (s[i] == '"')
                        is_quoted = !is_quoted;
                else if (!is_quoted && char_is_blank(s[i]))
                        return (ptrdiff_t)i;
        }
        return is_quoted ? -1 : (ptrdiff_t)len;
}

/*
 * Makes the record at the front of the block from a line further on. The record's size; 0: no
 * entry.
 */
static ptrdiff_t record_write(const struct table_text *text, const struct line *line, char *out,
                              struct doubts *doubts, size_t *key_len)
{
        if (line->starts_blank) {
                text_doubt(text, line->number, &doubts->blank_start, "table-blank-start",
                           "take the blank away",
                           "a line that begins with a blank continues "
                           "another, but there is none: it is ignored");
                return 0;
        }
        ptrdiff_t end = key_end(line->ptr, line->len);
        if (end < 0) {
                text_doubt(text, line->number, &doubts->quotes, "table-open-quote",
                           "close the quote", "a double quote is not closed: the line is ignored");
                return 0;
        }
        *key_len = (size_t)end;
        size_t at = *key_len;
        while (at < line->len && char_is_blank(line->ptr[at]))
                at++;
        size_t value_len = line->len - at;
        if (value_len == 0) {
                text_doubt(text, line->number, &doubts->no_value, "table-no-value",
                           "write a value behind the key: \"key value\"",
                           "\"%.*s\" has no value: the line is ignored",
                           (int)(*key_len > 80 ? 80 : *key_len), line->ptr);
                return 0;
        }
        if (*key_len > TABLE_KEY_BYTES_MAX)
                return text_fault(text, line->number, -EINVAL, "table-syntax", NULL,
                                  "a key of %zu bytes; at most %d are possible", *key_len,
                                  TABLE_KEY_BYTES_MAX);
        if (value_len > TABLE_VALUE_BYTES_MAX)
                return text_fault(text, line->number, -EINVAL, "table-syntax", NULL,
                                  "a value of %zu bytes; at most %d are possible", value_len,
                                  TABLE_VALUE_BYTES_MAX);
        if (line->ptr[*key_len - 1] == ':')
                text_doubt(text, line->number, &doubts->alias, "table-alias-format",
                           "take the colon away, if this is no alias file",
                           "the key \"%.*s\" ends with a colon; is this an alias file?",
                           (int)(*key_len > 80 ? 80 : *key_len), line->ptr);

        for (size_t i = 0; i < *key_len; i++)
                out[i] = char_lower(line->ptr[i]);
        out[*key_len] = '\0';
        memmove(out + *key_len + 1, line->ptr + at, value_len);
        out[*key_len + 1 + value_len] = '\0';
        return (ptrdiff_t)(*key_len + value_len + 2);
}

/*
 * The same from a line of aliases(5): "name: value". A name in quotes loses them, as postalias has it.
 */
static ptrdiff_t alias_write(const struct table_text *text, const struct line *line, char *out,
                             struct doubts *doubts, size_t *key_len)
{
        size_t at = 0;
        size_t used = 0;
        bool is_quoted = false;
        for (; at < line->len && (is_quoted || line->ptr[at] != ':'); at++) {
                char c = line->ptr[at];
                if (c == '"') {
                        is_quoted = !is_quoted;
                        continue;
                }
                if (c == '\\' && is_quoted && at + 1 < line->len)
                        c = line->ptr[++at];
                out[used++] = char_lower(c);
        }
        bool has_colon = at < line->len;
        while (used && char_is_blank(out[used - 1]))
                used--;
        size_t value_at = at + 1;
        while (value_at < line->len && char_is_blank(line->ptr[value_at]))
                value_at++;
        if (!has_colon || used == 0 || value_at >= line->len || line->starts_blank) {
                text_doubt(text, line->number, &doubts->no_value, "table-no-value",
                           "write \"name: value\"",
                           "this is no alias with a name, a colon and a value: the line is "
                           "ignored");
                return 0;
        }
        size_t value_len = line->len - value_at;
        if (used > TABLE_KEY_BYTES_MAX || value_len > TABLE_VALUE_BYTES_MAX)
                return text_fault(text, line->number, -EINVAL, "table-syntax", NULL,
                                  "an alias of %zu bytes for %zu; at most %d and %d are possible",
                                  used, value_len, TABLE_KEY_BYTES_MAX, TABLE_VALUE_BYTES_MAX);
        *key_len = used;
        out[used] = '\0';
        memmove(out + used + 1, line->ptr + value_at, value_len);
        out[used + 1 + value_len] = '\0';
        return (ptrdiff_t)(used + value_len + 2);
}

/*
 * Do all entries begin with a word and a colon? Then postalias made Postfix's table from this text, and
 * not postmap. The first line that does not ends the search. The colon has a blank behind it: keys that are IPv6
 * addresses or fingerprints are no aliases.
 */
static bool looks_like_aliases(struct str rest)
{
        bool has_some = false;
        while (rest.len) {
                struct str line = str_cut(&rest, '\n');
                if (str_is_empty(str_trim(line)) || line.ptr[0] == '#' ||
                    char_is_blank(line.ptr[0]))
                        continue;
                bool is_quoted = false;
                size_t i = 0;
                for (; i < line.len; i++) {
                        if (line.ptr[i] == '"')
                                is_quoted = !is_quoted;
                        else if (!is_quoted && (line.ptr[i] == ':' || char_is_blank(line.ptr[i])))
                                break;
                }
                struct str behind = str_trim(str_tail(line, i));
                if (i == 0 || behind.len < 2 || behind.ptr[0] != ':' ||
                    !char_is_blank(behind.ptr[1]))
                        return false;
                has_some = true;
        }
        return has_some;
}

static size_t count_lines(const char *bytes, size_t len)
{
        size_t lines = 1;
        const char *end = bytes + len;
        for (const char *p = bytes; (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
                lines++;
        return lines;
}

typedef ptrdiff_t write_record(const struct table_text *text, const struct line *line, char *out,
                               struct doubts *doubts, size_t *key_len);

static int open_records(struct table_text *text, void **contents, write_record *write)
{
        struct text_map m;
        size_t lines = count_lines(text->bytes, text->len);
        char *block = text->bytes;
        text->bytes = NULL;
        text_map_init(&m, block, lines);

        struct table_lines reader;
        struct line line;
        struct doubts doubts = {0};
        size_t used = 0;
        table_lines_init(&reader, block, text->len);
        while (table_lines_next(&reader, &line)) {
                size_t key_len = 0;
                ptrdiff_t size = write(text, &line, block + used, &doubts, &key_len);
                if (size < 0) {
                        text_map_done(&m);
                        return (int)size;
                }
                if (size == 0)
                        continue;
                if (text_map_put(&m, (uint32_t)used, key_len) == used)
                        used += (size_t)size;
                else
                        text_doubt(text, line.number, &doubts.duplicates, "table-duplicate",
                                   "take one of the two away",
                                   "\"%.80s\" stands here a second time; the first entry counts",
                                   block + used);
        }
        text_map_shrink(&m, used);
        struct text_map *kept = malloc(sizeof(*kept));
        if (!kept) {
                text_map_done(&m);
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        }
        *kept = m;
        *contents = kept;
        return 0;
}

static int text_open(struct table_text *text, void **contents)
{
        return open_records(text, contents, record_write);
}

int text_open_aliases(struct table_text *text, void **contents)
{
        return open_records(text, contents, alias_write);
}

/* What postmap or postalias made Postfix's file from. */
static int source_open(struct table_text *text, void **contents)
{
        if (!looks_like_aliases(str_make(text->bytes, text->len)))
                return text_open(text, contents);
        if (text->findings)
                findings_add(text->findings, SEVERITY_NOTE, "table-alias-format",
                             (struct place){text->at.file, 0}, NULL,
                             "each entry begins with a name and a colon: this is read as a file of "
                             "aliases(5), as postalias reads it");
        return text_open_aliases(text, contents);
}

#define TEXT_TYPE(type_name, type_open)                                                          \
        {                                                                                        \
                .name = type_name, .source = SOURCE_FILE, .folds_key = true, .is_text = true,    \
                .bytes_max = (size_t)UINT32_MAX - 16, .open = type_open, .find = text_map_query, \
                .free = text_map_free, .count = text_map_count, .each = text_map_each,           \
        }

const struct table_type table_type_hash = TEXT_TYPE("hash", source_open);
const struct table_type table_type_btree = TEXT_TYPE("btree", source_open);
const struct table_type table_type_texthash = TEXT_TYPE("texthash", text_open);
