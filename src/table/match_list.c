/*
 * match_list.c - lists of names, networks, files and tables (relay_domains, mynetworks)
 *
 * The first item that matches decides; with ! in front it says no. So that a list of many thousand
 * names is not walked for each question, names and strings stand in a map from the name to its
 * place: of the names that match, the earliest counts, and only the items before it that are no
 * names are asked.
 *
 * The items of a /file/name stand in contents of their own, which table.c watches like those of a
 * table.
 */
#include "base/check.h"
#include "base/map.h"
#include "table/table_private.h"

#include <errno.h>

enum {
        FILE_DEPTH_MAX = 8,
        ITEMS_MAX = 10000000,
        ITEM_BYTES_MAX = TABLE_KEY_BYTES_MAX,
};

enum item_kind { ITEM_NETWORK, ITEM_TABLE, ITEM_FILE };

/* An item that is not a name. */
struct item {
        uint32_t order;
        enum item_kind kind;
        bool is_negated;
        struct network network;
        struct table *table;
};

struct items {
        struct item *others; /* in order */
        size_t other_count;
        size_t other_room;
        struct map names; /* to 1 + order * 2 + is_negated */
        uint32_t count;   /* of both */
};

struct match_list {
        struct items items;
        enum match_kind kind;
        bool parent_matches;
};

/* ---- parsing ---- */
struct parser {
        struct table_set *set;
        enum match_kind kind;
        struct place at;
        int depth;
        struct findings *findings;
};

static const struct table_type type_domain_file, type_string_file, type_address_file;

static void items_init(struct items *items)
{
        *items = (struct items){0};
        map_init(&items->names);
}

static void items_done(struct items *items)
{
        free(items->others);
        map_done(&items->names);
}

static struct item *other_add(struct items *items)
{
        if (items->other_count == items->other_room) {
                items->other_room = items->other_room ? items->other_room * 2 : 8;
                struct item *others =
                        reallocarray(items->others, items->other_room, sizeof(*others));
                check(others);
                items->others = others;
        }
        struct item *item = &items->others[items->other_count++];
        *item = (struct item){.order = items->count++};
        return item;
}

static int add_file(struct parser *p, struct items *items, struct str path, bool is_negated,
                    struct table_fault *fault)
{
        static const struct table_type *const types[] = {
                [MATCH_DOMAIN] = &type_domain_file,
                [MATCH_STRING] = &type_string_file,
                [MATCH_ADDRESS] = &type_address_file,
        };
        if (p->depth >= FILE_DEPTH_MAX)
                return fault_set(fault, -ELOOP, "match-list-depth", "take the circle out",
                                 "files that name files, more than %d deep", FILE_DEPTH_MAX);
        struct table *t = table_set_open(p->set, types[p->kind], path, path, p->at, p->depth + 1,
                                         p->findings, fault);
        if (!t)
                return fault->error;
        struct item *item = other_add(items);
        item->kind = ITEM_FILE;
        item->is_negated = is_negated;
        item->table = t;
        return 0;
}

static int add_table(struct parser *p, struct items *items, struct str spec, bool is_negated,
                     struct table_fault *fault)
{
        struct network network;
        struct why why;
        if (p->kind == MATCH_ADDRESS && network_parse(spec, &network, &why) == 0)
                return fault_set(fault, -EINVAL, "match-list-network",
                                 "write [address]/prefix, as [2001:db8::]/32",
                                 "the IPv6 address \"%.*s\" needs brackets in a list",
                                 (int)(spec.len > 60 ? 60 : spec.len), spec.ptr);
        struct table *t = table_set_open_spec(p->set, spec, p->at, p->depth, p->findings, fault);
        if (!t)
                return fault->error;
        struct item *item = other_add(items);
        item->kind = ITEM_TABLE;
        item->is_negated = is_negated;
        item->table = t;
        return 0;
}

static int add_network(struct items *items, struct str text, bool is_negated,
                       struct table_fault *fault)
{
        struct network network;
        struct why why;
        if (network_parse(text, &network, &why))
                return fault_set(fault, -EINVAL, "match-list-network", NULL, "%s", why.text);
        struct item *item = other_add(items);
        item->kind = ITEM_NETWORK;
        item->is_negated = is_negated;
        item->network = network;
        return 0;
}

static int add_name(struct items *items, struct str name, bool is_negated,
                    struct table_fault *fault)
{
        char folded[ITEM_BYTES_MAX];
        if (name.len > sizeof(folded))
                return fault_set(fault, -EINVAL, "match-list-name", NULL,
                                 "a name of %zu bytes; at most %d are possible", name.len,
                                 ITEM_BYTES_MAX);
        for (size_t i = 0; i < name.len; i++)
                folded[i] = char_lower(name.ptr[i]);
        struct str key = str_make(folded, name.len);
        uintptr_t place = 1 + (uintptr_t)items->count++ * 2 + is_negated;
        void *before = map_put(&items->names, key, (void *)place);
        if (before)
                map_put(&items->names, key, before); /* the first one counts */
        return 0;
}

static int add_item(struct parser *p, struct items *items, struct str text,
                    struct table_fault *fault)
{
        bool is_negated = false;
        while (text.len && text.ptr[0] == '!') {
                is_negated = !is_negated;
                text = str_tail(text, 1);
        }
        if (str_is_empty(text))
                return fault_set(fault, -EINVAL, "match-list-name", "write !name without a blank",
                                 "a \"!\" without a name");
        if (items->count == ITEMS_MAX)
                return fault_set(fault, -E2BIG, "match-list-name", NULL, "more than %d items",
                                 ITEMS_MAX);
        if (text.ptr[0] == '/')
                return add_file(p, items, text, is_negated, fault);
        if (text.ptr[0] != '[' && str_find(text, ':') >= 0)
                return add_table(p, items, text, is_negated, fault);
        if (p->kind == MATCH_ADDRESS)
                return add_network(items, text, is_negated, fault);
        return add_name(items, text, is_negated, fault);
}

static void list_end(void *context)
{
        struct match_list *list = context;
        items_done(&list->items);
}

struct match_list *match_list_open(struct table_set *set, struct str text, enum match_kind kind,
                                   bool parent_matches_subdomains, struct place at,
                                   struct findings *findings)
{
        struct match_list *list = table_set_alloc(set, sizeof(*list));
        list->kind = kind;
        list->parent_matches = parent_matches_subdomains;
        items_init(&list->items);
        struct parser p = {.set = set, .kind = kind, .at = at, .findings = findings};
        bool has_error = false;
        struct str item;
        while (item_next(&text, &item)) {
                struct table_fault fault;
                if (add_item(&p, &list->items, item, &fault) == 0)
                        continue;
                fault_to_findings(&fault, at, findings);
                has_error = true;
        }
        if (has_error) {
                items_done(&list->items);
                return NULL;
        }
        table_set_at_end(set, list_end, list);
        return list;
}

bool match_list_is_empty(const struct match_list *list)
{
        return list->items.count == 0;
}

/* ---- files of items ---- */
static int file_parse(struct table_text *text, struct items *items, enum match_kind kind)
{
        struct parser p = {.set = text->set,
                           .kind = kind,
                           .at = text->at,
                           .depth = text->depth,
                           .findings = text->findings};
        struct str rest = str_make(text->bytes, text->len);
        while (rest.len) {
                struct str line = str_trim(str_cut(&rest, '\n'));
                p.at.line++;
                if (line.len && line.ptr[0] == '#')
                        continue;
                struct str item;
                while (item_next(&line, &item)) {
                        struct table_fault fault;
                        if (add_item(&p, items, item, &fault) == 0)
                                continue;
                        *text->fault = fault;
                        if (!fault.file[0])
                                text_fault(text, p.at.line, fault.error, fault.code,
                                           fault.cure[0] ? fault.cure : NULL, "%s", fault.text);
                        return fault.error;
                }
        }
        return 0;
}

static void file_free(void *contents)
{
        items_done(contents);
        free(contents);
}

static int file_open(struct table_text *text, void **contents, enum match_kind kind)
{
        struct items *items = malloc(sizeof(*items));
        check(items);
        items_init(items);
        int error = file_parse(text, items, kind);
        if (error) {
                file_free(items);
                return error;
        }
        *contents = items;
        return 0;
}

static int domain_file_open(struct table_text *text, void **contents)
{
        return file_open(text, contents, MATCH_DOMAIN);
}

static int string_file_open(struct table_text *text, void **contents)
{
        return file_open(text, contents, MATCH_STRING);
}

static int address_file_open(struct table_text *text, void **contents)
{
        return file_open(text, contents, MATCH_ADDRESS);
}

static size_t file_count(const void *contents)
{
        const struct items *items = contents;
        return items->count;
}

#define FILE_TYPE(type_name, type_open)                                                 \
        {                                                                               \
                .name = type_name, .source = SOURCE_FILE, .bytes_max = (size_t)1 << 30, \
                .open = type_open, .free = file_free, .count = file_count,              \
        }
static const struct table_type type_domain_file = FILE_TYPE("(domains)", domain_file_open);
static const struct table_type type_string_file = FILE_TYPE("(strings)", string_file_open);
static const struct table_type type_address_file = FILE_TYPE("(addresses)", address_file_open);

/* ---- look-ups ---- */
struct question {
        enum match_kind kind;
        bool parent_matches;
        struct str key; /* in lower case */
        unsigned char address[16];
        struct table_query query;
};

/* What a list says: a plain enum table_result, or that an item with ! matched. */
enum answer { ANSWER_NONE, ANSWER_YES, ANSWER_NO, ANSWER_ERROR };

/* The next of: a.b.example, .b.example (or b.example), .example. False after the last. */
static bool next_parent(struct str *key, bool parent_matches)
{
        ptrdiff_t dot = str_find(str_tail(*key, 1), '.');
        if (dot < 0)
                return false;
        *key = str_tail(*key, (size_t)dot + 1 + parent_matches);
        return key->len > 0;
}

/* The place of the earliest name that matches; 0: none does. */
static uintptr_t names_find(const struct items *items, const struct question *q)
{
        if (items->names.count == 0 || q->key.len == 0)
                return 0;
        struct str key = q->key;
        uintptr_t best = (uintptr_t)map_find(&items->names, key);
        while (q->kind == MATCH_DOMAIN && next_parent(&key, q->parent_matches)) {
                uintptr_t place = (uintptr_t)map_find(&items->names, key);
                if (place && (!best || place < best))
                        best = place;
        }
        return best;
}

static enum answer answer_of(bool is_negated)
{
        return is_negated ? ANSWER_NO : ANSWER_YES;
}

static enum answer await_ask_table(struct table *t, struct question *q)
{
        struct str key = q->key;
        do {
                q->query.key = key;
                enum table_result result = await_table_query(t, &q->query);
                if (result == TABLE_ERROR)
                        return ANSWER_ERROR;
                if (result == TABLE_FOUND)
                        return ANSWER_YES;
        } while (q->kind == MATCH_DOMAIN && key.len && !table_is_pattern(t) &&
                 next_parent(&key, q->parent_matches));
        return ANSWER_NONE;
}

static enum answer await_items_find(const struct items *items, struct question *q);

static enum answer await_ask_file(struct table *t, struct question *q)
{
        struct table_snapshot *s = table_snapshot_hold(t);
        enum answer answer = await_items_find(table_snapshot_contents(s), q);
        table_snapshot_release(s);
        return answer;
}

static enum answer await_ask_item(const struct item *item, struct question *q)
{
        enum answer answer = ANSWER_NONE;
        switch (item->kind) {
        case ITEM_NETWORK:
                answer = network_has(&item->network, q->address) ? ANSWER_YES : ANSWER_NONE;
                break;
        case ITEM_TABLE:
                answer = await_ask_table(item->table, q);
                break;
        case ITEM_FILE:
                answer = await_ask_file(item->table, q);
                break;
        }
        if (!item->is_negated)
                return answer;
        return answer == ANSWER_YES ? ANSWER_NO : answer == ANSWER_NO ? ANSWER_YES : answer;
}

static enum answer await_items_find(const struct items *items, struct question *q)
{
        uintptr_t name = names_find(items, q);
        uint32_t name_order = name ? (uint32_t)((name - 1) / 2) : UINT32_MAX;
        for (size_t i = 0; i < items->other_count && items->others[i].order < name_order; i++) {
                enum answer answer = await_ask_item(&items->others[i], q);
                if (answer != ANSWER_NONE)
                        return answer;
        }
        if (!name)
                return ANSWER_NONE;
        *q->query.value = STR("");
        return answer_of((name - 1) & 1);
}

enum table_result await_match_list_find(struct match_list *list, struct str key,
                                        struct arena *arena, struct str *value, struct why *why)
{
        struct str said = STR("");
        char folded[ITEM_BYTES_MAX];
        struct question q = {.kind = list->kind,
                             .parent_matches = list->parent_matches,
                             .query = {.arena = arena, .value = &said, .why = why}};
        if (list->items.count == 0 || key.len > sizeof(folded))
                return TABLE_NOT_FOUND;
        if (list->kind == MATCH_ADDRESS && !network_address_parse(key, q.address))
                return TABLE_NOT_FOUND;
        for (size_t i = 0; i < key.len; i++)
                folded[i] = char_lower(key.ptr[i]);
        q.key = str_make(folded, key.len);

        switch (await_items_find(&list->items, &q)) {
        case ANSWER_YES:
                if (value)
                        *value = said;
                return TABLE_FOUND;
        case ANSWER_ERROR:
                return TABLE_ERROR;
        default:
                return TABLE_NOT_FOUND;
        }
}
