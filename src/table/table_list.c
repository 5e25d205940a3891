/*
 * table_list.c - several tables asked in order, and the keys that an address is asked with
 *
 * Each key is put to every table before the next key is tried (virtual(5), transport(5)). Tables of
 * patterns are asked the whole address alone.
 *
 * A local part that needs quotes is asked with them first, as postmap wants it written, and then
 * without, as older tables have it (mail_addr_find(3) of Postfix 3.2 and later).
 */
#include "table/table_private.h"

struct table_list {
        struct table **tables;
        size_t count;
};

static size_t items_count(struct str text)
{
        struct str item;
        size_t count = 0;
        while (item_next(&text, &item))
                count++;
        return count;
}

struct table_list *table_list_open(struct table_set *set, struct str text, struct place at,
                                   struct findings *findings)
{
        struct table_list *list = table_set_alloc(set, sizeof(*list));
        list->tables = table_set_alloc(set, sizeof(list->tables[0]) * (items_count(text) + 1));
        bool has_error = false;
        struct str item;
        while (item_next(&text, &item)) {
                struct table_fault fault;
                struct table *t = table_set_open_spec(set, item, at, 0, findings, &fault);
                if (t)
                        list->tables[list->count++] = t;
                else
                        fault_to_findings(&fault, at, findings);
                has_error |= !t;
        }
        return has_error ? NULL : list;
}

bool table_list_is_empty(const struct table_list *list)
{
        return list->count == 0;
}

/* Asks all tables; with `is_part` not those of patterns. */
static enum table_result await_ask(const struct table_list *list, const struct table_query *query,
                                   bool is_part)
{
        for (size_t i = 0; i < list->count; i++) {
                if (is_part && table_is_pattern(list->tables[i]))
                        continue;
                enum table_result result = await_table_query(list->tables[i], query);
                if (result != TABLE_NOT_FOUND)
                        return result;
        }
        return TABLE_NOT_FOUND;
}

enum table_result await_table_list_find(struct table_list *list, struct str key,
                                        struct arena *arena, struct str *value, struct why *why)
{
        struct table_query query = {.key = key, .arena = arena, .value = value, .why = why};
        return await_ask(list, &query, false);
}

enum table_result await_table_list_find_plain(struct table_list *list, struct str key,
                                              struct arena *arena, struct str *value,
                                              struct why *why)
{
        struct table_query query = {.key = key,
                                    .arena = arena,
                                    .value = value,
                                    .why = why,
                                    .refuses_substitution = true};
        return await_ask(list, &query, false);
}

enum table_result await_table_list_find_rule(struct table_list *list, struct str key,
                                             struct arena *arena, struct str *value,
                                             struct table_rule *rule, struct why *why)
{
        struct table_query query = {
                .key = key, .arena = arena, .value = value, .rule = rule, .why = why};
        *rule = (struct table_rule){.table = STR("")};
        enum table_result result = await_ask(list, &query, false);
        if (result != TABLE_FOUND)
                *rule = (struct table_rule){.table = STR("")};
        return result;
}

const struct table *table_list_table(const struct table_list *list, size_t i)
{
        return i < list->count ? list->tables[i] : NULL;
}

/* ---- addresses ---- */

/* The extension with its delimiter: the end of the local part; empty: there is none. */
static struct str extension_of(struct str local, struct str delimiters)
{
        static const char *const never[] = {"postmaster", "mailer-daemon", "double-bounce"};
        for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
                if (str_eq_nocase(local, str_from(never[i])))
                        return STR("");
        /* owner_request_special: names of mailing lists are whole */
        if (str_find(delimiters, '-') >= 0 &&
            (str_starts_nocase(local, STR("owner-")) || str_ends_nocase(local, STR("-request"))))
                return STR("");
        for (size_t i = 0; i < local.len; i++)
                if (str_find(delimiters, local.ptr[i]) >= 0)
                        return i ? str_tail(local, i) : STR("");
        return STR("");
}

/*
 * RFC 5321 4.1.2: anything but a Dot-string is written in quotes. Bytes from 128 on are atoms (RFC
 * 6531).
 */
static bool needs_quotes(struct str local)
{
        char before = '.';
        for (size_t i = 0; i < local.len; i++) {
                char c = local.ptr[i];
                bool is_atom = char_is_alnum(c) || (unsigned char)c >= 0x80 ||
                               (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
                if (!is_atom && (c != '.' || before == '.'))
                        return true;
                before = c;
        }
        return before == '.';
}

/* Keys are written here; longer addresses than SMTP has go to the caller's arena. */
struct key_writer {
        char *out;
        size_t len;
};

static void write_local(struct key_writer *w, struct str local, bool is_quoted)
{
        if (is_quoted)
                w->out[w->len++] = '"';
        for (size_t i = 0; i < local.len; i++) {
                if (is_quoted && (local.ptr[i] == '"' || local.ptr[i] == '\\'))
                        w->out[w->len++] = '\\';
                w->out[w->len++] = local.ptr[i];
        }
        if (is_quoted)
                w->out[w->len++] = '"';
}

enum parts { LOCAL = 1, DOMAIN = 2 };

struct address_query {
        const struct table_list *list;
        const struct table_address *address;
        struct str bare; /* the local part without its extension */
        struct str extension;
        struct table_query query;
        char *room; /* for any key of this address */
};

/* Asks for "local@domain", "local" or "@domain". */
static enum table_result await_ask_parts(struct address_query *q, struct str local, unsigned parts,
                                         bool is_quoted, bool is_part)
{
        struct key_writer w = {.out = q->room};
        if (parts & LOCAL)
                write_local(&w, local, is_quoted);
        if (parts & DOMAIN) {
                struct str domain = q->address->domain;
                w.out[w.len++] = '@';
                if (domain.len)
                        memcpy(w.out + w.len, domain.ptr, domain.len);
                w.len += domain.len;
        }
        q->query.key = str_make(w.out, w.len);
        return await_ask(q->list, &q->query, is_part);
}

static size_t room_for(const struct table_address *address)
{
        return address->local.len * 2 + address->domain.len + 3;
}

static void address_query_init(struct address_query *q, const struct table_list *list,
                               const struct table_address *address)
{
        q->list = list;
        q->address = address;
        q->extension = extension_of(address->local, address->delimiters);
        q->bare = str_part(address->local, 0, address->local.len - q->extension.len);
}

/* user+ext@domain and user@domain */
static enum table_result await_ask_whole(struct address_query *q, bool is_quoted,
                                         struct str *extension)
{
        unsigned parts = str_is_empty(q->address->domain) ? LOCAL : LOCAL | DOMAIN;
        enum table_result result = await_ask_parts(q, q->address->local, parts, is_quoted, false);
        if (result != TABLE_NOT_FOUND || str_is_empty(q->extension))
                return result;
        result = await_ask_parts(q, q->bare, parts, is_quoted && needs_quotes(q->bare), true);
        if (result == TABLE_FOUND)
                *extension = q->extension;
        return result;
}

/* user+ext and user, of a local domain */
static enum table_result await_ask_local(struct address_query *q, bool is_quoted,
                                         struct str *extension)
{
        enum table_result result = await_ask_parts(q, q->address->local, LOCAL, is_quoted, true);
        if (result != TABLE_NOT_FOUND || str_is_empty(q->extension))
                return result;
        result = await_ask_parts(q, q->bare, LOCAL, is_quoted && needs_quotes(q->bare), true);
        if (result == TABLE_FOUND)
                *extension = q->extension;
        return result;
}

static enum table_result await_find_address(struct address_query *q, bool is_quoted,
                                            struct str *extension)
{
        enum table_result result = await_ask_whole(q, is_quoted, extension);
        if (result != TABLE_NOT_FOUND || str_is_empty(q->address->domain))
                return result;
        if (q->address->is_local)
                result = await_ask_local(q, is_quoted, extension);
        if (result == TABLE_NOT_FOUND)
                result = await_ask_parts(q, STR(""), DOMAIN, false, true);
        return result;
}

enum { ROOM_BYTES = 512 };

enum table_result await_table_list_find_address(struct table_list *list,
                                                const struct table_address *address,
                                                struct arena *arena, struct str *value,
                                                struct str *extension, struct why *why)
{
        char room[ROOM_BYTES];
        struct address_query q = {.query = {.arena = arena, .value = value, .why = why}};
        struct str left_out = STR("");
        address_query_init(&q, list, address);
        q.room = room_for(address) <= sizeof(room) ? room : arena_alloc(arena, room_for(address));

        bool is_quoted = needs_quotes(address->local);
        enum table_result result = TABLE_NOT_FOUND;
        if (list->count)
                result = await_find_address(&q, is_quoted, &left_out);
        if (result == TABLE_NOT_FOUND && is_quoted && list->count)
                result = await_find_address(&q, false, &left_out);
        if (extension)
                *extension = left_out;
        return result;
}

/* ---- transports ---- */

/* domain, then .parent or parent, up to the last label */
static enum table_result await_ask_domains(struct address_query *q, bool parent_matches_subdomains)
{
        struct str key = q->address->domain;
        while (key.len) {
                q->query.key = key;
                enum table_result result = await_ask(q->list, &q->query, true);
                if (result != TABLE_NOT_FOUND)
                        return result;
                ptrdiff_t dot = str_find(str_tail(key, 1), '.');
                if (dot < 0)
                        break;
                key = str_tail(key, (size_t)dot + 1 + parent_matches_subdomains);
        }
        return TABLE_NOT_FOUND;
}

enum table_result await_table_list_find_transport(struct table_list *list,
                                                  const struct table_address *address,
                                                  bool parent_matches_subdomains,
                                                  struct arena *arena, struct str *value,
                                                  struct why *why)
{
        if (list->count == 0)
                return TABLE_NOT_FOUND;
        char room[ROOM_BYTES];
        struct address_query q = {
                .query = {
                        .arena = arena, .value = value, .why = why, .refuses_substitution = true}};
        struct str extension;
        address_query_init(&q, list, address);
        q.room = room_for(address) <= sizeof(room) ? room : arena_alloc(arena, room_for(address));

        bool is_quoted = needs_quotes(address->local);
        enum table_result result = await_ask_whole(&q, is_quoted, &extension);
        if (result == TABLE_NOT_FOUND && is_quoted)
                result = await_ask_whole(&q, false, &extension);
        if (result == TABLE_NOT_FOUND)
                result = await_ask_domains(&q, parent_matches_subdomains);
        if (result == TABLE_NOT_FOUND) {
                q.query.key = STR("*");
                result = await_ask(list, &q.query, true);
        }
        return result;
}
