/*
 * cidr.c - cidr_table(5): the first network that has the address
 *
 *   192.0.2.0/24   result          !192.0.2.0/24  result          if 10.0.0.0/8 ... endif
 *
 * A negated network speaks of its own family alone: !192.0.2.0/24 does not match an IPv6 address.
 * Rules that Postfix skips with a warning are errors here.
 */
#include "base/check.h"
#include "table/table_private.h"

#include <errno.h>

struct cidr_rule {
        struct network network;
        enum rule_kind kind;
        bool is_negated;
        int line;
        uint32_t endif;    /* of an if: where its endif stands */
        struct str source; /* "!192.0.2.0/24" */
        struct str value;
};

struct cidr {
        struct arena arena;
        struct cidr_rule *rules;
        uint32_t count;
};

static bool is_mapped_network(const struct network *n)
{
        return n->prefix_bits >= 96 && n->address[10] == 0xff && n->address[11] == 0xff &&
               memcmp(n->address, "\0\0\0\0\0\0\0\0\0\0", 10) == 0;
}

static bool is_mapped_address(const unsigned char address[16])
{
        return address[10] == 0xff && address[11] == 0xff &&
               memcmp(address, "\0\0\0\0\0\0\0\0\0\0", 10) == 0;
}

static bool rule_holds(const struct cidr_rule *rule, const unsigned char address[16])
{
        if (!rule->is_negated)
                return network_has(&rule->network, address);
        return is_mapped_network(&rule->network) == is_mapped_address(address) &&
               !network_has(&rule->network, address);
}

static enum table_result cidr_find(const void *contents, const struct table_query *query)
{
        const struct cidr *table = contents;
        unsigned char address[16];
        if (!network_address_parse(query->key, address))
                return TABLE_NOT_FOUND;
        for (uint32_t i = 0; i < table->count; i++) {
                const struct cidr_rule *rule = &table->rules[i];
                if (rule->kind == RULE_ENDIF)
                        continue;
                bool holds = rule_holds(rule, address);
                if (rule->kind == RULE_IF) {
                        if (!holds)
                                i = rule->endif;
                } else if (holds) {
                        *query->value = arena_str(query->arena, rule->value);
                        table_query_note_rule(query, rule->line, rule->source);
                        return TABLE_FOUND;
                }
        }
        return TABLE_NOT_FOUND;
}

/* "!10.0.0.0/8": the condition of a rule, off the front of *rest. */
static int condition_parse(const struct table_text *text, int line, struct str *rest,
                           struct cidr_rule *rule)
{
        while (rest->len && (rest->ptr[0] == '!' || char_is_blank(rest->ptr[0]))) {
                rule->is_negated ^= rest->ptr[0] == '!';
                *rest = str_tail(*rest, 1);
        }
        size_t end = 0;
        while (end < rest->len && !char_is_blank(rest->ptr[end]))
                end++;
        struct str pattern = str_part(*rest, 0, end);
        *rest = str_trim(str_tail(*rest, end));
        struct why why;
        if (str_is_empty(pattern))
                return text_fault(text, line, -EINVAL, "table-syntax",
                                  "write a network, as 192.0.2.0/24", "a rule without a network");
        if (network_parse(pattern, &rule->network, &why))
                return text_fault(text, line, -EINVAL, "table-network", NULL, "%s", why.text);
        return 0;
}

static int rule_parse(struct table_text *text, const struct line *line, struct cidr *table,
                      struct rule_nesting *nesting, int *doubts)
{
        struct cidr_rule *rule = &table->rules[table->count];
        struct str rest = str_make(line->ptr, line->len);
        rule->kind = rule_kind_take(&rest);
        if (rule->kind == RULE_ENDIF) {
                uint32_t opened_by;
                int error = rule_nesting_endif(nesting, text, line->number, &opened_by);
                if (error)
                        return error;
                table->rules[opened_by].endif = table->count;
        } else {
                struct str whole = rest;
                int error = condition_parse(text, line->number, &rest, rule);
                if (error)
                        return error;
                rule->line = line->number;
                rule->source = arena_str(&table->arena,
                                         str_trim(str_part(whole, 0, whole.len - rest.len)));
        }
        if (rule->kind == RULE_MATCH) {
                if (str_is_empty(rest))
                        return text_fault(text, line->number, -EINVAL, "table-no-value",
                                          "write the result behind the network, on the same line "
                                          "or on the next one after a blank",
                                          "a network without a result");
                rule->value = arena_str(&table->arena, rest);
                table->count++;
                return 0;
        }
        if (!str_is_empty(rest))
                text_doubt(text, line->number, doubts, "table-extra-text", "take it away",
                           "text behind an if or endif is ignored");
        if (rule->kind == RULE_IF) {
                int error = rule_nesting_if(nesting, text, table->count, line->number);
                if (error)
                        return error;
        }
        table->count++;
        return 0;
}

static void cidr_free(void *contents)
{
        struct cidr *table = contents;
        arena_done(&table->arena);
        free(table->rules);
        free(table);
}

static int rules_parse(struct table_text *text, struct cidr *table)
{
        struct table_lines reader;
        struct line line;
        struct rule_nesting nesting = {0};
        int doubts = 0;
        table_lines_init(&reader, text->bytes, text->len);
        int more;
        while ((more = rule_line_next(&reader, text, table->count, &line)) > 0) {
                table->rules = rule_room(table->rules, table->count, sizeof(*table->rules));
                table->rules[table->count] = (struct cidr_rule){0};
                int error = rule_parse(text, &line, table, &nesting, &doubts);
                if (error)
                        return error;
        }
        return more < 0 ? more : rule_nesting_end(&nesting, text);
}

static int cidr_open(struct table_text *text, void **contents)
{
        struct cidr *table = calloc(1, sizeof(*table));
        check(table);
        arena_init(&table->arena, 0);
        int error = rules_parse(text, table);
        if (error) {
                cidr_free(table);
                return error;
        }
        *contents = table;
        return 0;
}

static size_t cidr_count(const void *contents)
{
        const struct cidr *table = contents;
        return table->count;
}

const struct table_type table_type_cidr = {
        .name = "cidr",
        .source = SOURCE_FILE_OR_RULES,
        .is_pattern = true,
        .bytes_max = 16 << 20,
        .open = cidr_open,
        .find = cidr_find,
        .free = cidr_free,
        .count = cidr_count,
};
