/*
 * lines.c - the shapes of text in this room: logical lines of a file, rules among them, items of a list
 *
 * A logical line is joined where it stands: the reader moves a continuation over the line end
 * before it, so that nothing is copied for the usual line, and nothing is allocated for any.
 */
#include "base/check.h"
#include "table/table_private.h"

#include <errno.h>

int text_examine(struct table_text *text)
{
        const char *nul = memchr(text->bytes, '\0', text->len);
        if (nul) {
                int line = 1;
                for (const char *p = text->bytes; p < nul; p++)
                        line += *p == '\n';
                return text_fault(text, line, -EINVAL, "table-binary",
                                  "name the text that it was made from",
                                  "there is a NUL byte: this is no text");
        }
        if (text->len >= 3 && memcmp(text->bytes, "\xef\xbb\xbf", 3) == 0) {
                int count = 0;
                text_doubt(text, 1, &count, "table-byte-order-mark",
                           "save the file without a byte order mark",
                           "the file begins with a byte order mark; it is left out");
                text->len -= 3;
                memmove(text->bytes, text->bytes + 3, text->len + 1);
        }
        return 0;
}

void table_lines_init(struct table_lines *r, char *bytes, size_t len)
{
        *r = (struct table_lines){.at = bytes, .end = bytes + len, .line = 1};
}

/* Takes a physical line; without its LF or CRLF. */
static struct str take_physical(struct table_lines *r)
{
        char *start = r->at;
        char *newline = memchr(start, '\n', (size_t)(r->end - start));
        char *stop = newline ? newline : r->end;
        r->at = newline ? newline + 1 : r->end;
        r->line++;
        if (stop > start && stop[-1] == '\r')
                stop--;
        return str_make(start, (size_t)(stop - start));
}

static bool is_comment_or_blank(struct str s)
{
        size_t i = 0;
        while (i < s.len && char_is_blank(s.ptr[i]))
                i++;
        return i == s.len || s.ptr[i] == '#';
}

bool table_lines_next(struct table_lines *r, struct line *line)
{
        struct str part;
        do {
                if (r->at == r->end)
                        return false;
                line->number = r->line;
                line->ptr = r->at;
                part = take_physical(r);
        } while (is_comment_or_blank(part));

        line->len = part.len;
        line->starts_blank = char_is_blank(line->ptr[0]);
        /* Comments and blank lines in between do not end the logical line. */
        while (r->at < r->end && (char_is_blank(*r->at) || *r->at == '#')) {
                part = take_physical(r);
                if (is_comment_or_blank(part))
                        continue;
                memmove(line->ptr + line->len, part.ptr, part.len);
                line->len += part.len;
        }
        while (line->len && char_is_blank(line->ptr[line->len - 1]))
                line->len--;
        return true;
}

static bool is_separator(char c)
{
        return c == ',' || char_is_blank(c);
}

bool item_next(struct str *rest, struct str *item)
{
        size_t i = 0;
        while (i < rest->len && is_separator(rest->ptr[i]))
                i++;
        size_t start = i;
        int depth = 0;
        for (; i < rest->len && (depth > 0 || !is_separator(rest->ptr[i])); i++) {
                if (rest->ptr[i] == '{')
                        depth++;
                else if (rest->ptr[i] == '}' && depth > 0)
                        depth--;
        }
        *item = str_part(*rest, start, i - start);
        *rest = str_tail(*rest, i);
        return item->len > 0;
}

bool braces_open(struct str s, struct str *inside)
{
        s = str_trim(s);
        if (s.len < 2 || s.ptr[0] != '{')
                return false;
        int depth = 0;
        for (size_t i = 0; i < s.len; i++) {
                if (s.ptr[i] == '{')
                        depth++;
                else if (s.ptr[i] == '}' && --depth == 0 && i + 1 < s.len)
                        return false;
        }
        if (depth != 0)
                return false;
        *inside = str_trim(str_part(s, 1, s.len - 2));
        return true;
}

int rule_line_next(struct table_lines *r, const struct table_text *text, uint32_t count,
                   struct line *line)
{
        if (!table_lines_next(r, line))
                return 0;
        if (line->starts_blank)
                return text_fault(text, line->number, -EINVAL, "table-blank-start",
                                  "take the blank away",
                                  "a line that begins with a blank continues another, "
                                  "but there is none");
        if (count == TABLE_RULES_MAX)
                return text_fault(text, line->number, -E2BIG, "table-too-large", NULL,
                                  "more than %d rules", TABLE_RULES_MAX);
        return 1;
}

void *rule_room(void *rules, uint32_t count, size_t rule_bytes)
{
        enum { AT_FIRST = 16 };
        bool is_full = count >= AT_FIRST && (count & (count - 1)) == 0; /* it doubles each time */
        if (count > 0 && !is_full)
                return rules;
        rules = reallocarray(rules, count ? (size_t)count * 2 : AT_FIRST, rule_bytes);
        check(rules);
        return rules;
}

enum rule_kind rule_kind_take(struct str *s)
{
        size_t word = 0;
        while (word < s->len && char_is_alnum(s->ptr[word]))
                word++;
        struct str name = str_part(*s, 0, word);
        enum rule_kind kind = str_eq_nocase(name, STR("if"))      ? RULE_IF
                              : str_eq_nocase(name, STR("endif")) ? RULE_ENDIF
                                                                  : RULE_MATCH;
        if (kind != RULE_MATCH)
                *s = str_trim(str_tail(*s, word));
        return kind;
}

int rule_nesting_if(struct rule_nesting *n, const struct table_text *text, uint32_t index, int line)
{
        if (n->depth == RULE_NESTING_MAX)
                return text_fault(text, line, -E2BIG, "table-syntax", NULL,
                                  "more than %d ifs one inside the other", RULE_NESTING_MAX);
        n->open[n->depth] = index;
        n->line[n->depth] = line;
        n->depth++;
        return 0;
}

int rule_nesting_endif(struct rule_nesting *n, const struct table_text *text, int line,
                       uint32_t *opened_by)
{
        if (n->depth == 0)
                return text_fault(text, line, -EINVAL, "table-syntax",
                                  "take it away, or write its if", "an endif without an if");
        *opened_by = n->open[--n->depth];
        return 0;
}

int rule_nesting_end(const struct rule_nesting *n, const struct table_text *text)
{
        if (n->depth == 0)
                return 0;
        return text_fault(text, n->line[n->depth - 1], -EINVAL, "table-syntax",
                          "write endif where the condition ends",
                          "the if of this line has no endif");
}
