/*
 * given.c - answers from a text that looks like a zone
 *
 * Each line becomes rdata as it would stand in a packet, so that what is answered went through the same reader as
 * what comes from the network. Names are looked up as a name server would: the name itself, then the nearest
 * wildcard; CNAMEs are followed.
 */
#include "dns/dns_private.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/map.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

enum {
        TTL_MS = 3600 * 1000,
        RDATA_BYTES_MAX = 65535,
        LINES_MAX = 1000000,
};

struct given_record {
        struct given_record *next;
        enum dns_type type;
        int64_t ttl_ms;
        struct str data;
};

enum given_state { GIVEN_OK, GIVEN_SERVFAIL, GIVEN_TIMEOUT, GIVEN_BOGUS };

struct given_name {
        struct given_record *first;
        struct given_record **last;
        enum given_state state;
        bool is_secure;
        bool is_said; /* has lines of its own; else only names below it have */
};

struct given {
        struct arena arena;
        struct map names;
};

/* ---- one line ---- */

struct line {
        struct given *given;
        struct str rest;
        unsigned number;
        struct why *why;
};

static int wrong(const struct line *l, const char *what)
{
        return why_set(l->why, -EINVAL, "line %u: %s", l->number, what);
}

/* Up to a semicolon that is not inside quotes. */
static struct str without_comment(struct str line)
{
        bool is_quoted = false;
        for (size_t i = 0; i < line.len; i++) {
                if (line.ptr[i] == '\\')
                        i++;
                else if (line.ptr[i] == '"')
                        is_quoted = !is_quoted;
                else if (line.ptr[i] == ';' && !is_quoted)
                        return str_part(line, 0, i);
        }
        return line;
}

static bool next_word(struct line *l, struct str *word)
{
        return str_next_word(&l->rest, " \t\r", word);
}

static struct given_name *name_entry(struct given *g, struct str name)
{
        struct given_name *n = map_find(&g->names, name);
        if (n)
                return n;
        n = arena_new(&g->arena, struct given_name);
        n->last = &n->first;
        map_put(&g->names, name, n);
        return n;
}

/* The name, and those above it, which exist by it. */
static struct given_name *name_add(struct given *g, struct str name)
{
        struct given_name *n = name_entry(g, name);
        n->is_said = true;
        for (ptrdiff_t dot; (dot = str_find(name, '.')) >= 0;) {
                name = str_tail(name, (size_t)dot + 1);
                name_entry(g, name);
        }
        return n;
}

/* ---- rdata ---- */

static int put_name(struct line *l, struct buf *out)
{
        struct str word;
        char name[DNS_NAME_BYTES_MAX];
        unsigned char wire[WIRE_NAME_BYTES_MAX];
        size_t len;
        if (!next_word(l, &word) || !name_normalize(word, name, &len))
                return wrong(l, "a name is wanted");
        len = name_to_wire(str_make(name, len), wire);
        return len ? buf_append(out, wire, len) : wrong(l, "that is no name");
}

static int put_number(struct line *l, struct buf *out, size_t bytes)
{
        struct str word;
        int64_t value;
        if (!next_word(l, &word) || str_to_int64(word, 0, (1LL << (8 * bytes)) - 1, &value))
                return wrong(l, "a number is wanted");
        for (size_t i = bytes; i-- > 0;)
                buf_append_char(out, (char)(value >> (8 * i)));
        return 0;
}

static int put_address(struct line *l, struct buf *out, int family)
{
        struct str word;
        char text[64];
        unsigned char bytes[16];
        if (!next_word(l, &word) || word.len >= sizeof(text))
                return wrong(l, "an address is wanted");
        memcpy(text, word.ptr, word.len);
        text[word.len] = '\0';
        if (inet_pton(family, text, bytes) != 1)
                return wrong(l, "that is no address of this type");
        return buf_append(out, bytes, family == AF_INET ? 4 : 16);
}

/* One character-string: what it holds, cut into pieces of 255 bytes. */
static void put_pieces(struct str text, struct buf *out)
{
        do {
                size_t piece = text.len < 255 ? text.len : 255;
                buf_append_char(out, (char)piece);
                buf_append_str(out, str_part(text, 0, piece));
                text = str_tail(text, piece);
        } while (text.len);
}

static int put_text(struct line *l, struct buf *out)
{
        struct buf text;
        size_t count = 0;
        buf_init(&text, RDATA_BYTES_MAX);
        for (; (l->rest = str_trim(l->rest)).len; count++) {
                bool is_quoted = l->rest.ptr[0] == '"';
                size_t at = is_quoted;
                buf_clear(&text);
                for (; at < l->rest.len; at++) {
                        char c = l->rest.ptr[at];
                        if (is_quoted ? c == '"' : c == ' ' || c == '\t')
                                break;
                        int64_t code;
                        if (c == '\\' &&
                            str_to_int64(str_part(l->rest, at + 1, 3), 0, 255, &code) == 0) {
                                c = (char)code;
                                at += 3;
                        } else if (c == '\\' && at + 1 < l->rest.len) {
                                c = l->rest.ptr[++at];
                        }
                        buf_append_char(&text, c);
                }
                if (is_quoted && at == l->rest.len) {
                        buf_done(&text);
                        return wrong(l, "a quotation mark is missing");
                }
                l->rest = str_tail(l->rest, at + is_quoted);
                put_pieces(buf_str(&text), out);
        }
        buf_done(&text);
        return count ? 0 : wrong(l, "a text is wanted");
}

static int put_hex(struct line *l, struct buf *out)
{
        struct str word;
        while (next_word(l, &word)) {
                if (word.len % 2)
                        return wrong(l, "an even number of hexadecimal digits is wanted");
                for (size_t i = 0; i < word.len; i += 2) {
                        char pair[3] = {word.ptr[i], word.ptr[i + 1], '\0'};
                        char *end;
                        unsigned long byte = strtoul(pair, &end, 16);
                        if (end != pair + 2)
                                return wrong(l, "hexadecimal digits are wanted");
                        buf_append_char(out, (char)byte);
                }
        }
        return 0;
}

static int put_rdata(struct line *l, enum dns_type type, struct buf *out)
{
        int rc = 0;
        switch (type) {
        case DNS_A:
                return put_address(l, out, AF_INET);
        case DNS_AAAA:
                return put_address(l, out, AF_INET6);
        case DNS_NS:
        case DNS_CNAME:
        case DNS_PTR:
                return put_name(l, out);
        case DNS_MX:
                rc = put_number(l, out, 2);
                return rc ? rc : put_name(l, out);
        case DNS_SRV:
                for (int i = 0; i < 3 && rc == 0; i++)
                        rc = put_number(l, out, 2);
                return rc ? rc : put_name(l, out);
        case DNS_TXT:
                return put_text(l, out);
        case DNS_TLSA:
                for (int i = 0; i < 3 && rc == 0; i++)
                        rc = put_number(l, out, 1);
                return rc ? rc : put_hex(l, out);
        case DNS_SOA:
                rc = put_name(l, out);
                rc = rc ? rc : put_name(l, out);
                for (int i = 0; i < 5 && rc == 0; i++)
                        rc = put_number(l, out, 4);
                return rc;
        }
        return wrong(l, "this type is not known");
}

static bool type_find(struct str word, enum dns_type *out)
{
        static const enum dns_type types[] = {DNS_A,  DNS_NS,  DNS_CNAME, DNS_SOA,  DNS_PTR,
                                              DNS_MX, DNS_TXT, DNS_AAAA,  DNS_TLSA, DNS_SRV};
        for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
                if (str_eq_nocase(word, str_from(dns_type_name(types[i])))) {
                        *out = types[i];
                        return true;
                }
        return false;
}

static bool state_set(struct given_name *n, struct str word)
{
        if (str_eq_nocase(word, STR("SERVFAIL")))
                n->state = GIVEN_SERVFAIL;
        else if (str_eq_nocase(word, STR("TIMEOUT")))
                n->state = GIVEN_TIMEOUT;
        else if (str_eq_nocase(word, STR("BOGUS")))
                n->state = GIVEN_BOGUS;
        else if (str_eq_nocase(word, STR("SECURE")))
                n->is_secure = true;
        else
                return false;
        return true;
}

static int record_add(struct line *l, struct given_name *n, enum dns_type type, int64_t ttl_ms)
{
        struct buf data;
        buf_init(&data, RDATA_BYTES_MAX);
        int rc = put_rdata(l, type, &data);
        if (rc == 0 && data.len >= RDATA_BYTES_MAX)
                rc = wrong(l, "too long");
        if (rc == 0 && str_trim(l->rest).len)
                rc = wrong(l, "there is more than belongs to a record of this type");
        if (rc == 0) {
                struct given_record *r = arena_new(&l->given->arena, struct given_record);
                *r = (struct given_record){.type = type,
                                           .ttl_ms = ttl_ms,
                                           .data = arena_str(&l->given->arena, buf_str(&data))};
                *n->last = r;
                n->last = &r->next;
        }
        buf_done(&data);
        return rc;
}

static int line_add(struct line *l)
{
        struct str word;
        char name[DNS_NAME_BYTES_MAX];
        size_t len;
        int64_t ttl_s;
        int64_t ttl_ms = TTL_MS;
        enum dns_type type;
        if (!next_word(l, &word))
                return 0;
        if (!name_normalize(word, name, &len))
                return wrong(l, "that is no name");
        struct given_name *n = name_add(l->given, str_make(name, len));
        if (!next_word(l, &word))
                return wrong(l, "write: name [ttl] [IN] TYPE data");
        if (str_to_int64(word, 0, INT32_MAX, &ttl_s) == 0) {
                ttl_ms = ttl_s * 1000;
                if (!next_word(l, &word))
                        return wrong(l, "a type is missing");
        }
        if (str_eq_nocase(word, STR("IN")) && !next_word(l, &word))
                return wrong(l, "a type is missing");
        if (state_set(n, word))
                return 0;
        if (!type_find(word, &type))
                return wrong(l, "this type is not known; there are A AAAA CNAME MX NS PTR SOA "
                                "TLSA TXT, and SERVFAIL TIMEOUT BOGUS SECURE");
        return record_add(l, n, type, ttl_ms);
}

struct given *given_new(struct str text, struct why *why)
{
        struct given *g = calloc(1, sizeof(*g));
        check(g);
        arena_init(&g->arena, 0);
        map_init(&g->names);
        struct line l = {.given = g, .why = why};
        while (text.len) {
                l.rest = without_comment(str_cut(&text, '\n'));
                l.number++;
                if (line_add(&l) < 0 || (l.number == LINES_MAX && wrong(&l, "too many lines"))) {
                        given_free(&g);
                        return NULL;
                }
        }
        return g;
}

void given_free(struct given **gp)
{
        struct given *g = *gp;
        *gp = NULL;
        if (!g)
                return;
        map_done(&g->names);
        arena_done(&g->arena);
        free(g);
}

/* ---- looking up ---- */

/* "*.zone" for the nearest zone above `name` that has one; the zone nearest that exists ends the search (RFC 4592). */
static const struct given_name *wildcard_find(const struct given *g, struct str name)
{
        char star[DNS_NAME_BYTES_MAX + 2] = "*.";
        for (ptrdiff_t dot; (dot = str_find(name, '.')) >= 0;) {
                name = str_tail(name, (size_t)dot + 1);
                memcpy(star + 2, name.ptr, name.len);
                const struct given_name *n = map_find(&g->names, str_make(star, name.len + 2));
                if (n || map_find(&g->names, name))
                        return n;
        }
        return map_find(&g->names, STR("*"));
}

static const struct given_record *record_of(const struct given_name *n, enum dns_type type)
{
        const struct given_record *r = n->first;
        while (r && r->type != type)
                r = r->next;
        return r;
}

static void take_records(struct box *b, const struct given_name *n, enum dns_type type)
{
        size_t count = 0;
        for (const struct given_record *r = n->first; r; r = r->next)
                count += r->type == type;
        box_make_room(b, count);
        for (const struct given_record *r = n->first; r; r = r->next) {
                if (r->type != type || b->answer.count == b->room)
                        continue;
                record_read(b, (struct wire_bytes){(const unsigned char *)r->data.ptr, r->data.len},
                            0, r->data.len, type);
                if (r->ttl_ms < b->answer.ttl_ms)
                        b->answer.ttl_ms = r->ttl_ms;
        }
}

static struct box *failed(enum given_state state)
{
        if (state == GIVEN_TIMEOUT)
                return box_failed(DNS_TIMED_OUT);
        if (state == GIVEN_SERVFAIL)
                return box_failed("the name servers answer with server failure (rcode 2)");
        struct box *b = box_failed("the signature is wrong");
        b->answer.is_bogus = true;
        return b;
}

struct box *given_find(const struct given *g, struct str name, enum dns_type type)
{
        struct box *b = box_new();
        struct dns_answer *a = &b->answer;
        a->ttl_ms = TTL_MS;
        a->is_secure = true;
        for (int hops = 0; hops <= CHAIN_MAX; hops++) {
                const struct given_name *n = map_find(&g->names, name);
                if (!n)
                        n = wildcard_find(g, name);
                if (n && n->state != GIVEN_OK) {
                        box_unref(&b);
                        return failed(n->state);
                }
                a->is_secure = a->is_secure && n && n->is_secure;
                a->owner = box_str(b, name);
                const struct given_record *alias =
                        n && type != DNS_CNAME ? record_of(n, DNS_CNAME) : NULL;
                if (!alias) {
                        a->result = n ? DNS_NO_DATA : DNS_NO_NAME;
                        if (n)
                                take_records(b, n, type);
                        if (a->count)
                                a->result = DNS_FOUND;
                        return b;
                }
                char next[DNS_NAME_BYTES_MAX];
                size_t at = 0;
                int len = name_read((struct wire_bytes){(const unsigned char *)alias->data.ptr,
                                                        alias->data.len},
                                    &at, next);
                check(len >= 0 && len < DNS_NAME_BYTES_MAX);
                name = box_str(b, str_make(next, (size_t)len));
        }
        box_unref(&b);
        return box_failed("a loop of CNAMEs");
}
