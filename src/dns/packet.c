/*
 * packet.c - a DNS message read, without trust (RFC 1035 4)
 *
 * Every offset is looked at before it is used; a compressed name may only point backwards, so that it ends.
 * The answer is what the records say of the name at the end of the CNAMEs.
 */
#include "dns/dns_private.h"

#include "base/check.h"

#include <arpa/inet.h>

enum {
        HEADER_BYTES = 12,
        CLASS_IN = 1,
        RCODE_NXDOMAIN = 3,
        FLAG_TRUNCATED = 0x02,
        TTL_S_MAX = 7 * 24 * 3600,
};

/* ---- bytes ---- */

static unsigned get16(struct wire_bytes b, size_t at)
{
        return (unsigned)b.ptr[at] << 8 | b.ptr[at + 1];
}

/* ---- records ---- */

static void set_address(struct box *b, struct dns_record *r, int family, const unsigned char *from)
{
        char text[INET6_ADDRSTRLEN];
        inet_ntop(family, from, text, sizeof(text));
        r->text = box_str(b, str_from(text));
        if (family == AF_INET6) {
                memcpy(r->address, from, 16);
                return;
        }
        r->address[10] = r->address[11] = 0xff;
        memcpy(r->address + 12, from, 4);
}

/* The whole rdata from `at` on is one name. */
static bool set_name(struct box *b, struct dns_record *r, struct wire_bytes bytes, size_t at,
                     size_t end)
{
        char name[DNS_NAME_BYTES_MAX];
        int len = name_read(bytes, &at, name);
        if (len < 0 || at != end || len >= DNS_NAME_BYTES_MAX)
                return false;
        r->name = box_str(b, str_make(name, (size_t)len));
        return true;
}

static bool set_text(struct box *b, struct dns_record *r, const unsigned char *from, size_t len)
{
        char *text = box_alloc(b, len + 1);
        size_t used = 0;
        for (size_t at = 0; at < len; at += 1u + from[at]) {
                if (at + 1 + from[at] > len)
                        return false;
                memcpy(text + used, from + at + 1, from[at]);
                used += from[at];
        }
        r->text = str_make(text, used);
        return len > 0;
}

static bool set_tlsa(struct dns_record *r)
{
        if (r->data.len < 4)
                return false;
        r->tlsa.usage = (uint8_t)r->data.ptr[0];
        r->tlsa.selector = (uint8_t)r->data.ptr[1];
        r->tlsa.matching = (uint8_t)r->data.ptr[2];
        r->tlsa.association = str_tail(r->data, 3);
        return true;
}

static bool fill_in(struct box *b, struct dns_record *r, struct wire_bytes bytes, size_t at,
                    size_t len, enum dns_type type)
{
        const unsigned char *data = bytes.ptr + at;
        switch (type) {
        case DNS_A:
                if (len != 4)
                        return false;
                set_address(b, r, AF_INET, data);
                return true;
        case DNS_AAAA:
                if (len != 16)
                        return false;
                set_address(b, r, AF_INET6, data);
                return true;
        case DNS_NS:
        case DNS_CNAME:
        case DNS_PTR:
                return set_name(b, r, bytes, at, at + len);
        case DNS_MX:
                if (len < 3)
                        return false;
                r->preference = (uint16_t)get16(bytes, at);
                return set_name(b, r, bytes, at + 2, at + len);
        case DNS_SRV:
                if (len < 7)
                        return false;
                r->preference = (uint16_t)get16(bytes, at);
                r->weight = (uint16_t)get16(bytes, at + 2);
                r->port = (uint16_t)get16(bytes, at + 4);
                return set_name(b, r, bytes, at + 6, at + len);
        case DNS_TXT:
                return set_text(b, r, data, len);
        case DNS_TLSA:
                return set_tlsa(r);
        case DNS_SOA:
                return true;
        }
        return true;
}

bool record_read(struct box *b, struct wire_bytes bytes, size_t at, size_t len, enum dns_type type)
{
        struct dns_answer *answer = &b->answer;
        check(answer->count < b->room);
        struct dns_record *records = (struct dns_record *)(uintptr_t)answer->records;
        struct dns_record *r = &records[answer->count];
        *r = (struct dns_record){.name = STR(""), .text = STR("")};
        r->data = box_str(b, str_make((const char *)bytes.ptr + at, len));
        if (!fill_in(b, r, bytes, at, len, type))
                return false;
        answer->count++;
        return true;
}

/* ---- a message ---- */

struct rr {
        int name_len;
        unsigned type;
        unsigned class;
        unsigned ttl_s;
        size_t data_at;
        size_t data_len;
};

/* The record at *at, which is then behind it; its name in `name`. */
static bool read_rr(struct wire_bytes b, size_t *at, char name[DNS_NAME_BYTES_MAX], struct rr *out)
{
        out->name_len = name_read(b, at, name);
        if (out->name_len < 0 || *at + 10 > b.len)
                return false;
        out->type = get16(b, *at);
        out->class = get16(b, *at + 2);
        out->ttl_s = get16(b, *at + 4) << 16 | get16(b, *at + 6);
        if (out->ttl_s > TTL_S_MAX) /* RFC 2181 8: also what would be negative */
                out->ttl_s = out->ttl_s > INT32_MAX ? 0 : TTL_S_MAX;
        out->data_len = get16(b, *at + 8);
        out->data_at = *at + 10;
        *at = out->data_at + out->data_len;
        return *at <= b.len;
}

struct reading {
        struct wire_bytes packet;
        struct box *box;
        enum dns_type type;
        char owner[DNS_NAME_BYTES_MAX];
        size_t owner_len;
        int64_t ttl_s; /* least so far */
};

static void note_ttl(struct reading *r, int64_t ttl_s)
{
        if (ttl_s < r->ttl_s)
                r->ttl_s = ttl_s;
}

static bool is_owner(const struct reading *r, const char *name, const struct rr *rr)
{
        return rr->class == CLASS_IN && (size_t)rr->name_len == r->owner_len &&
               memcmp(name, r->owner, r->owner_len) == 0;
}

/* Goes through the answer section for the owner's CNAME. 1: the owner is another now; -1: malformed. */
static int follow_cname(struct reading *r, size_t at, unsigned count)
{
        char name[DNS_NAME_BYTES_MAX];
        for (unsigned i = 0; i < count; i++) {
                struct rr rr;
                if (!read_rr(r->packet, &at, name, &rr))
                        return -1;
                if (rr.type != DNS_CNAME || !is_owner(r, name, &rr))
                        continue;
                size_t data_at = rr.data_at;
                int len = name_read(r->packet, &data_at, r->owner);
                if (len < 0 || len >= DNS_NAME_BYTES_MAX || data_at != rr.data_at + rr.data_len)
                        return -1;
                r->owner_len = (size_t)len;
                note_ttl(r, rr.ttl_s);
                return 1;
        }
        return 0;
}

/* All records of the type that the owner has; *at is then behind the section. */
static bool read_answers(struct reading *r, size_t *at, unsigned count)
{
        char name[DNS_NAME_BYTES_MAX];
        for (unsigned i = 0; i < count; i++) {
                struct rr rr;
                if (!read_rr(r->packet, at, name, &rr))
                        return false;
                if (rr.type != r->type || !is_owner(r, name, &rr) ||
                    r->box->answer.count == r->box->room)
                        continue;
                if (record_read(r->box, r->packet, rr.data_at, rr.data_len, r->type))
                        note_ttl(r, rr.ttl_s);
        }
        return true;
}

/* How long there may be nothing: RFC 2308 5. */
static bool read_absence(struct reading *r, size_t at, unsigned count)
{
        char name[DNS_NAME_BYTES_MAX];
        for (unsigned i = 0; i < count; i++) {
                struct rr rr;
                if (!read_rr(r->packet, &at, name, &rr))
                        return false;
                if (rr.type != DNS_SOA || rr.data_len < 20)
                        continue;
                size_t minimum_at = rr.data_at + rr.data_len - 4;
                int64_t minimum_s = (int64_t)get16(r->packet, minimum_at) << 16 |
                                    get16(r->packet, minimum_at + 2);
                note_ttl(r, rr.ttl_s);
                note_ttl(r, minimum_s);
                return true;
        }
        r->ttl_s = 0;
        return true;
}

static bool skip_questions(struct wire_bytes b, size_t *at, unsigned count)
{
        char name[DNS_NAME_BYTES_MAX];
        for (unsigned i = 0; i < count; i++) {
                if (name_read(b, at, name) < 0 || *at + 4 > b.len)
                        return false;
                *at += 4;
        }
        return true;
}

static bool read_message(struct reading *r)
{
        struct wire_bytes b = r->packet;
        size_t at = HEADER_BYTES;
        unsigned answers = get16(b, 6);
        if (!skip_questions(b, &at, get16(b, 4)))
                return false;
        for (int hops = 0; r->type != DNS_CNAME;) {
                int rc = follow_cname(r, at, answers);
                if (rc < 0 || ++hops > CHAIN_MAX)
                        return false;
                if (rc == 0)
                        break;
        }
        box_make_room(r->box, answers);
        if (!read_answers(r, &at, answers))
                return false;
        struct dns_answer *a = &r->box->answer;
        a->owner = box_str(r->box, str_make(r->owner, r->owner_len));
        if (a->count == 0) {
                a->result = (b.ptr[3] & 15) == RCODE_NXDOMAIN ? DNS_NO_NAME : DNS_NO_DATA;
                if (!read_absence(r, at, get16(b, 8)))
                        return false;
        }
        a->ttl_ms = (r->ttl_s == TTL_S_MAX + 1 ? 0 : r->ttl_s) * 1000;
        return true;
}

static const char *rcode_words(int rcode)
{
        static const char *const words[] = {"no error",     "format error",    "server failure",
                                            "no such name", "not implemented", "refused"};
        return (size_t)rcode < sizeof(words) / sizeof(*words) ? words[rcode] : "an error";
}

struct box *packet_read(struct wire_bytes packet, struct str name, enum dns_type type)
{
        if (packet.len < HEADER_BYTES || packet.len > PACKET_BYTES_MAX)
                return box_failed("an answer of %zu bytes", packet.len);
        int rcode = packet.ptr[3] & 15;
        if (rcode != 0 && rcode != RCODE_NXDOMAIN)
                return box_failed("the name servers answer with %s (rcode %d)", rcode_words(rcode),
                                  rcode);
        if (packet.ptr[2] & FLAG_TRUNCATED)
                return box_failed("a truncated answer");
        struct reading r = {.packet = packet, .type = type, .ttl_s = TTL_S_MAX + 1};
        check(name.len < sizeof(r.owner));
        memcpy(r.owner, name.ptr, name.len);
        r.owner_len = name.len;
        r.box = box_new();
        if (read_message(&r))
                return r.box;
        box_unref(&r.box);
        return box_failed("a malformed answer");
}
