/*
 * envelope.c - an envelope as bytes
 *
 *      envelope  = version *field                      version = %d1
 *      field     = tag length *BYTE                    tag, length and numbers: varint
 *      varint    = *( %x80-FF ) %x00-7F                seven bits a byte, the lowest first;
 *                                                      at most 64 bits in all
 *
 * A field that has its usual value (empty, 0) is not written. A recipient is a field whose bytes
 * are fields again. No field but the recipient may come twice. Tags are never given a second
 * meaning; a meaning that older programs must not overlook gets a new tag, since they refuse those.
 */
#include "message/envelope.h"

#include "base/check.h"

#include <errno.h>

enum { ENVELOPE_VERSION = 1, VARINT_BYTES_MAX = 10 };

enum envelope_tag {
        TAG_SENDER = 1,
        TAG_RECIPIENT,
        TAG_BODY,
        TAG_SMTPUTF8,
        TAG_RET,
        TAG_ENVID,
        TAG_CLIENT_NAME,
        TAG_CLIENT_ADDRESS,
        TAG_CLIENT_PORT,
        TAG_HELO,
        TAG_PROTOCOL,
        TAG_ARRIVAL,
        TAG_FIRST_ID,
        TAG_LOCAL,
        TAG_FILTER,
        TAG_REPORT,
        TAG_VERP,       /* who does not know it would send from where bounces tell nothing */
        TAG_UNANSWERED, /* who does not know it could answer for ever */
        TAG_END,
};

enum recipient_tag {
        TAG_ADDRESS = 1,
        TAG_ORIGINAL,
        TAG_ORCPT,
        TAG_NOTIFY,
        TAG_ORIGINAL_SAME, /* `original` is the address: the usual case costs two bytes */
        TAG_EXPANDED,      /* not for who does not know it: he would deliver to an alias */
        TAG_RECIPIENT_END,
};

/* ---- writing ---- */

static size_t varint_bytes(uint64_t n)
{
        size_t bytes = 1;
        while (n >>= 7)
                bytes++;
        return bytes;
}

static char *varint_put(char *at, uint64_t n)
{
        for (; n >= 0x80; n >>= 7)
                *at++ = (char)(0x80 | (n & 0x7f));
        *at++ = (char)n;
        return at;
}

static size_t str_field_bytes(struct str s)
{
        return s.len ? 1 + varint_bytes(s.len) + s.len : 0;
}

static size_t number_field_bytes(uint64_t n)
{
        return n ? 2 + varint_bytes(n) : 0;
}

static char *str_field_put(char *at, int tag, struct str s)
{
        if (s.len == 0)
                return at;
        *at++ = (char)tag;
        at = varint_put(at, s.len);
        memcpy(at, s.ptr, s.len);
        return at + s.len;
}

static char *number_field_put(char *at, int tag, uint64_t n)
{
        if (n == 0)
                return at;
        *at++ = (char)tag;
        *at++ = (char)varint_bytes(n);
        return varint_put(at, n);
}

static bool has_same_original(const struct recipient *r)
{
        return str_eq(r->address, r->original);
}

static size_t recipient_bytes(const struct recipient *r)
{
        return str_field_bytes(r->address) +
               (has_same_original(r) ? 2 : str_field_bytes(r->original)) +
               str_field_bytes(r->orcpt) + number_field_bytes(r->notify) +
               number_field_bytes(r->is_expanded);
}

static char *recipient_put(char *at, const struct recipient *r)
{
        *at++ = TAG_RECIPIENT;
        at = varint_put(at, recipient_bytes(r));
        at = str_field_put(at, TAG_ADDRESS, r->address);
        if (has_same_original(r)) {
                *at++ = TAG_ORIGINAL_SAME;
                *at++ = 0;
        } else {
                at = str_field_put(at, TAG_ORIGINAL, r->original);
        }
        at = str_field_put(at, TAG_ORCPT, r->orcpt);
        at = number_field_put(at, TAG_NOTIFY, r->notify);
        return number_field_put(at, TAG_EXPANDED, r->is_expanded);
}

static size_t envelope_bytes(const struct envelope *e)
{
        size_t bytes = 1 + str_field_bytes(e->sender) + number_field_bytes(e->body) +
                       number_field_bytes(e->smtputf8) + number_field_bytes(e->ret) +
                       str_field_bytes(e->envid) + str_field_bytes(e->client_name) +
                       str_field_bytes(e->client_address) + str_field_bytes(e->client_port) +
                       str_field_bytes(e->helo) + str_field_bytes(e->protocol) +
                       number_field_bytes((uint64_t)e->arrival_us) + str_field_bytes(e->first_id) +
                       number_field_bytes(e->is_local) + str_field_bytes(e->filter) +
                       number_field_bytes(e->report) + str_field_bytes(e->verp) +
                       number_field_bytes(e->is_unanswered);
        for (size_t i = 0; i < e->recipient_count; i++) {
                size_t one = recipient_bytes(&e->recipients[i]);
                bytes += 1 + varint_bytes(one) + one;
        }
        return bytes;
}

int envelope_encode(const struct envelope *e, struct buf *out)
{
        if (e->recipient_count > ENVELOPE_RECIPIENTS_MAX)
                return -ENOBUFS;
        size_t bytes = envelope_bytes(e);
        char *start = buf_reserve(out, bytes);
        if (!start)
                return -ENOBUFS;
        char *at = start;
        *at++ = ENVELOPE_VERSION;
        at = str_field_put(at, TAG_SENDER, e->sender);
        for (size_t i = 0; i < e->recipient_count; i++) {
                check(e->recipients[i].address.len);
                at = recipient_put(at, &e->recipients[i]);
        }
        at = number_field_put(at, TAG_BODY, e->body);
        at = number_field_put(at, TAG_SMTPUTF8, e->smtputf8);
        at = number_field_put(at, TAG_RET, e->ret);
        at = str_field_put(at, TAG_ENVID, e->envid);
        at = str_field_put(at, TAG_CLIENT_NAME, e->client_name);
        at = str_field_put(at, TAG_CLIENT_ADDRESS, e->client_address);
        at = str_field_put(at, TAG_CLIENT_PORT, e->client_port);
        at = str_field_put(at, TAG_HELO, e->helo);
        at = str_field_put(at, TAG_PROTOCOL, e->protocol);
        at = number_field_put(at, TAG_ARRIVAL, (uint64_t)e->arrival_us);
        at = str_field_put(at, TAG_FIRST_ID, e->first_id);
        at = number_field_put(at, TAG_LOCAL, e->is_local);
        at = str_field_put(at, TAG_FILTER, e->filter);
        at = number_field_put(at, TAG_REPORT, e->report);
        at = str_field_put(at, TAG_VERP, e->verp);
        at = number_field_put(at, TAG_UNANSWERED, e->is_unanswered);
        check((size_t)(at - start) == bytes);
        buf_grow(out, bytes);
        return 0;
}

/* ---- reading ---- */

/* Takes a varint off the front; false when it does not end in time. */
static bool varint_take(struct str *in, uint64_t *n)
{
        *n = 0;
        for (size_t i = 0; i < in->len && i < VARINT_BYTES_MAX; i++) {
                unsigned char c = (unsigned char)in->ptr[i];
                if (i == VARINT_BYTES_MAX - 1 && c > 1)
                        return false;
                *n |= (uint64_t)(c & 0x7f) << (7 * i);
                if (c < 0x80) {
                        *in = str_tail(*in, i + 1);
                        return true;
                }
        }
        return false;
}

struct field {
        uint64_t tag;
        struct str value;
};

/* 1: a field. 0: no more. -EBADMSG: cut short. */
static int field_take(struct str *in, struct field *f, struct why *why)
{
        uint64_t bytes;
        if (in->len == 0)
                return 0;
        if (!varint_take(in, &f->tag) || !varint_take(in, &bytes))
                return why_set(why, -EBADMSG, "envelope: a field's head is cut short");
        if (bytes > in->len)
                return why_set(why, -EBADMSG,
                               "envelope: field %llu says %llu bytes, and %zu are left",
                               (unsigned long long)f->tag, (unsigned long long)bytes, in->len);
        f->value = str_part(*in, 0, (size_t)bytes);
        *in = str_tail(*in, (size_t)bytes);
        return 1;
}

static int number_read(const struct field *f, uint64_t max, uint64_t *out, struct why *why)
{
        struct str rest = f->value;
        if (!varint_take(&rest, out) || rest.len || *out > max)
                return why_set(why, -EBADMSG, "envelope: field %llu holds no number in its range",
                               (unsigned long long)f->tag);
        return 0;
}

/* Notes that the tag was there; an error for the second time, and for tags from `end` on. */
static int tag_note(uint64_t tag, unsigned end, unsigned *seen, struct why *why)
{
        if (tag == 0 || tag >= end)
                return why_set(why, -EBADMSG,
                               "envelope: unknown field %llu (written by a newer program?)",
                               (unsigned long long)tag);
        if (*seen & 1u << tag)
                return why_set(why, -EBADMSG, "envelope: field %llu comes twice",
                               (unsigned long long)tag);
        *seen |= 1u << tag;
        return 0;
}

static int recipient_decode(struct str bytes, struct recipient *r, struct why *why)
{
        struct field f = {0};
        unsigned seen = 0;
        uint64_t n;
        int code;
        while ((code = field_take(&bytes, &f, why)) > 0) {
                if ((code = tag_note(f.tag, TAG_RECIPIENT_END, &seen, why)))
                        return code;
                switch ((enum recipient_tag)f.tag) {
                case TAG_ADDRESS:
                        r->address = f.value;
                        break;
                case TAG_ORIGINAL:
                        r->original = f.value;
                        break;
                case TAG_ORCPT:
                        r->orcpt = f.value;
                        break;
                case TAG_NOTIFY:
                        if ((code = number_read(&f, 15, &n, why)))
                                return code;
                        r->notify = (unsigned)n;
                        break;
                case TAG_ORIGINAL_SAME:
                        break;
                case TAG_EXPANDED:
                        if ((code = number_read(&f, 1, &n, why)))
                                return code;
                        r->is_expanded = n;
                        break;
                case TAG_RECIPIENT_END:
                        break;
                }
        }
        if (code)
                return code;
        if (r->address.len == 0)
                return why_set(why, -EBADMSG, "envelope: a recipient without an address");
        if (seen & 1u << TAG_ORIGINAL_SAME) {
                if (seen & 1u << TAG_ORIGINAL)
                        return why_set(why, -EBADMSG, "envelope: a recipient with two originals");
                r->original = r->address;
        }
        return 0;
}

/* All but the recipients. */
static int field_decode(const struct field *f, struct envelope *e, struct why *why)
{
        uint64_t n = 0;
        int code = 0;
        switch ((enum envelope_tag)f->tag) {
        case TAG_SENDER:
                e->sender = f->value;
                break;
        case TAG_RECIPIENT:
                break;
        case TAG_BODY:
                code = number_read(f, SMTP_BODY_8BITMIME, &n, why);
                e->body = (enum smtp_body)n;
                break;
        case TAG_SMTPUTF8:
                code = number_read(f, 1, &n, why);
                e->smtputf8 = n;
                break;
        case TAG_RET:
                code = number_read(f, SMTP_RET_HDRS, &n, why);
                e->ret = (enum smtp_ret)n;
                break;
        case TAG_ENVID:
                e->envid = f->value;
                break;
        case TAG_CLIENT_NAME:
                e->client_name = f->value;
                break;
        case TAG_CLIENT_ADDRESS:
                e->client_address = f->value;
                break;
        case TAG_CLIENT_PORT:
                e->client_port = f->value;
                break;
        case TAG_HELO:
                e->helo = f->value;
                break;
        case TAG_PROTOCOL:
                e->protocol = f->value;
                break;
        case TAG_FIRST_ID:
                e->first_id = f->value;
                break;
        case TAG_LOCAL:
                code = number_read(f, 1, &n, why);
                e->is_local = n;
                break;
        case TAG_ARRIVAL:
                code = number_read(f, UINT64_MAX, &n, why);
                e->arrival_us = (int64_t)n;
                break;
        case TAG_FILTER:
                e->filter = f->value;
                break;
        case TAG_REPORT:
                code = number_read(f, SMTP_REPORT_DELIVERY, &n, why);
                e->report = (enum smtp_report)n;
                break;
        case TAG_UNANSWERED:
                code = number_read(f, 1, &n, why);
                e->is_unanswered = n;
                break;
        case TAG_VERP:
                if (f->value.len != SMTP_VERP_BYTES)
                        code = why_set(why, -EBADMSG, "envelope: VERP with %zu delimiters",
                                       f->value.len);
                e->verp = f->value;
                break;
        case TAG_END:
                break;
        }
        return code;
}

/* Walks over all fields. With `recipients` NULL it counts those, and reads the rest. */
static int fields_decode(struct str bytes, struct recipient *recipients, struct envelope *e,
                         struct why *why)
{
        struct field f = {0};
        unsigned seen = 0;
        size_t count = 0;
        int code;
        while ((code = field_take(&bytes, &f, why)) > 0) {
                if (f.tag == TAG_RECIPIENT) {
                        if (count == ENVELOPE_RECIPIENTS_MAX)
                                return why_set(why, -EBADMSG, "envelope: over %d recipients",
                                               ENVELOPE_RECIPIENTS_MAX);
                        if (recipients &&
                            (code = recipient_decode(f.value, &recipients[count], why)))
                                return code;
                        count++;
                } else if (!recipients) {
                        if ((code = tag_note(f.tag, TAG_END, &seen, why)) ||
                            (code = field_decode(&f, e, why)))
                                return code;
                }
        }
        e->recipient_count = count;
        return code;
}

int envelope_decode(struct str bytes, struct arena *arena, struct envelope *out, struct why *why)
{
        *out = (struct envelope){0};
        if (bytes.len == 0 || bytes.ptr[0] != ENVELOPE_VERSION)
                return why_set(why, -EBADMSG, "envelope: version %d is not known (this is %d)",
                               bytes.len ? (unsigned char)bytes.ptr[0] : 0, ENVELOPE_VERSION);
        /* one copy, into which all views point */
        struct str kept = str_tail(arena_str(arena, bytes), 1);
        int code = fields_decode(kept, NULL, out, why);
        if (code == 0 && out->recipient_count) {
                out->recipients = arena_array(arena, struct recipient, out->recipient_count);
                code = fields_decode(kept, out->recipients, out, why);
        }
        if (code)
                *out = (struct envelope){0};
        return code;
}

void envelope_copy(const struct envelope *from, struct arena *arena, struct envelope *to)
{
        struct str *const copied[] = {
                &to->sender, &to->envid,    &to->client_name, &to->client_address, &to->client_port,
                &to->helo,   &to->protocol, &to->first_id,    &to->filter,         &to->verp,
        };
        *to = *from;
        for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
                *copied[i] = arena_str(arena, *copied[i]);
        to->recipients = from->recipient_count
                                 ? arena_array(arena, struct recipient, from->recipient_count)
                                 : NULL;
        for (size_t i = 0; i < from->recipient_count; i++) {
                const struct recipient *r = &from->recipients[i];
                to->recipients[i] = (struct recipient){
                        .address = arena_str(arena, r->address),
                        .orcpt = arena_str(arena, r->orcpt),
                        .notify = r->notify,
                        .is_expanded = r->is_expanded,
                };
                to->recipients[i].original = has_same_original(r) ? to->recipients[i].address
                                                                  : arena_str(arena, r->original);
        }
}
