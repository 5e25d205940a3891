/* delivery_print.c - deliveries that are under way, as people and scripts see them */
#include "ops/delivery_print.h"

#include "ops/json.h"

enum { STRANGE_BYTES_MAX = 500 };

static void put_clean(struct buf *out, struct str text)
{
        text = str_part(text, 0, STRANGE_BYTES_MAX);
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.ptr[i];
                buf_append_char(out, c < 0x20 || c == 0x7f ? '?' : text.ptr[i]);
        }
}

static void print_json(struct delivery_print *p, const struct delivery_view *v)
{
        int64_t now_s = p->now_us / 1000000;
        struct json j;
        json_init(&j, p->out);
        json_open(&j, NULL, '{');
        json_str(&j, "transport", str_part(v->transport, 0, STRANGE_BYTES_MAX));
        json_str(&j, "nexthop", str_part(v->nexthop, 0, STRANGE_BYTES_MAX));
        json_int(&j, "loop", (int64_t)p->loop);
        json_str(&j, "queue_id", str_from(v->queue_id));
        json_bool(&j, "is_probe", v->is_probe);
        json_int(&j, "recipients", (int64_t)v->recipients);
        if (v->recipients)
                json_int(&j, "since", now_s - v->age_us / 1000000);
        json_str(&j, "waits_for", str_from(v->waits_for));
        json_int(&j, "waits_since", now_s - v->waits_ms / 1000);
        json_close(&j, '}');
        json_end(&j);
}

static void print_text(struct delivery_print *p, const struct delivery_view *v)
{
        put_clean(p->out, v->transport);
        buf_append_char(p->out, ':');
        put_clean(p->out, v->nexthop);
        if (v->recipients)
                buf_printf(p->out, " %s for %lld s, %zu recipient%s",
                           v->queue_id   ? v->queue_id
                           : v->is_probe ? "probe"
                                         : "-",
                           (long long)(v->age_us / 1000000), v->recipients,
                           v->recipients == 1 ? "" : "s");
        buf_printf(p->out, ": %s (for %lld s)\n", v->waits_for, (long long)(v->waits_ms / 1000));
}

void delivery_print_one(struct delivery_print *p, const struct delivery_view *v)
{
        if (p->as_json)
                print_json(p, v);
        else
                print_text(p, v);
        p->count++;
}

void delivery_print_end(struct delivery_print *p, size_t there)
{
        if (p->as_json)
                return;
        if (there == 0)
                buf_printf(p->out, "nothing is being delivered\n");
        else
                buf_printf(p->out, "-- %zu %s.\n", there, there == 1 ? "delivery" : "deliveries");
        if (there > p->count)
                buf_printf(p->out, "   (%zu are shown)\n", p->count);
}
