/* milter_fuzz.c - what a filter says: packets in pieces, its negotiation, and its changes to a header */
#include "fuzz.h"

#include "milter/milter_private.h"

static const char message[] =
        "Received: from x\r\n\tby y\r\nSubject: one\r\nX-A: 1\r\nX-A: 2\r\n\r\n";

static void check_header(const struct milter_header *h)
{
        struct buf out;
        buf_init(&out, 4 * 1024 * 1024);
        if (milter_header_put(h, &out) == 0) {
                /* each line is the beginning of a field or goes on with one; none is empty */
                struct str rest = buf_str(&out);
                while (rest.len) {
                        struct str line = str_cut(&rest, '\n');
                        check(line.len > 1 && line.ptr[line.len - 1] == '\r');
                        check(str_find(str_part(line, 0, line.len - 1), '\r') < 0);
                        check(line.ptr[0] == ' ' || line.ptr[0] == '\t' || str_find(line, ':') > 0);
                }
        }
        buf_done(&out);
}

static void apply(struct milter_header *h, const struct milter_reply *r, bool has_space,
                  struct arena *arena)
{
        if (!milter_field_name_is_valid(r->name))
                return;
        struct milter_made made = {.before = STR(""), .field = STR("")};
        if (r->command != 'm' || r->text.len) /* an empty value takes the field out */
                made.field = milter_field_make(arena, r->name, r->text, has_space);
        if (r->command == 'h')
                milter_header_add(h, &made);
        else if (r->command == 'i')
                milter_header_insert(h, r->index, &made);
        else if (r->command == 'm')
                milter_header_change(h, r->index, r->name, &made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        unsigned choice = fuzz_byte(&in);
        struct milter_negotiated negotiated;
        struct milter_header h;
        struct milter_reply r;
        struct smtp_reply reply;
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        milter_header_init(&h, str_from(message), 20, &arena);
        while (milter_reply_take(&in, &r, &why) > 0) {
                apply(&h, &r, choice & 1, &arena);
                if (r.command == 'y' && milter_reply_code(r.name, &arena, &reply))
                        for (size_t i = 0; i < reply.text.len; i++)
                                check((unsigned char)reply.text.ptr[i] >= ' ' ||
                                      reply.text.ptr[i] == '\n');
                if (r.command == 'O' && milter_negotiated_read(r.data, 6, &negotiated, &why) == 0)
                        check(!(negotiated.protocol & ~milter_version_protocol(6)));
        }
        check_header(&h);
        arena_done(&arena);
        return 0;
}
