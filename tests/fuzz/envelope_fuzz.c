/* envelope_fuzz.c - an envelope's bytes: read, written and read again it is the same */
#include "fuzz.h"

#include "message/envelope.h"
#include "message/header.h"
#include "message/queue_id.h"

#include <errno.h>

static void check_same(const struct envelope *a, const struct envelope *b)
{
        check(str_eq(a->sender, b->sender) && a->recipient_count == b->recipient_count);
        for (size_t i = 0; i < a->recipient_count; i++) {
                const struct recipient *x = &a->recipients[i], *y = &b->recipients[i];
                check(str_eq(x->address, y->address) && str_eq(x->original, y->original));
                check(str_eq(x->orcpt, y->orcpt) && x->notify == y->notify);
        }
        check(a->body == b->body && a->smtputf8 == b->smtputf8 && a->ret == b->ret);
        check(str_eq(a->envid, b->envid) && str_eq(a->client_name, b->client_name));
        check(str_eq(a->client_address, b->client_address));
        check(str_eq(a->client_port, b->client_port) && str_eq(a->helo, b->helo));
        check(str_eq(a->protocol, b->protocol) && a->arrival_us == b->arrival_us);
        check(str_eq(a->filter, b->filter));
}

/* Whatever the client called itself, Received is one field. */
static void check_received(const struct envelope *e)
{
        struct received_line line = {
                .by = STR("mx.example"),
                .with = STR("ESMTP"),
                .queue_id = STR("0000000000z0"),
                .mail_name = STR("Forepost"),
                .for_one = e->recipient_count == 1 ? e->recipients[0].address : STR(""),
        };
        struct header_field field;
        struct buf out;
        buf_init(&out, 1 << 20);
        check(received_format(e, &line, &out) == 0);
        struct str rest = buf_str(&out);
        check(header_next(&rest, &field) && rest.len == 0);
        check(str_eq(field.name, STR("Received")));
        buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        struct envelope first, second, copy;
        struct arena arena;
        struct buf bytes;
        struct why why = {""};
        int64_t wall_us;
        uint64_t number;
        arena_init(&arena, 0);
        buf_init(&bytes, 1 << 24);
        int code = envelope_decode(in, &arena, &first, &why);
        if (code) {
                check(code == -EBADMSG && why.text[0]);
        } else {
                check(first.recipient_count <= in.len / 2);
                check(envelope_encode(&first, &bytes) == 0);
                check(envelope_decode(buf_str(&bytes), &arena, &second, &why) == 0);
                check_same(&first, &second);
                envelope_copy(&second, &arena, &copy);
                check_same(&first, &copy);
                check_received(&first);
        }
        (void)queue_id_parse(in, &wall_us, &number);
        arena_done(&arena);
        buf_done(&bytes);
        return 0;
}
