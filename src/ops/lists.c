/* lists.c - the lists in the DNS, shown to who asks */
#include "ops/lists.h"

#include "base/clock.h"
#include "policy/dnsbl.h"

#include <time.h>

static const char *state_words(const struct dnsbl_figures *f)
{
        return f->is_over_budget && f->is_used == false && f->state <= DNSBL_SILENT
                       ? "over budget"
                       : dnsbl_state_name(f->state);
}

static const char *kind_words(enum dnsbl_kind kind)
{
        return kind == DNSBL_OF_NAMES ? "names" : "addresses";
}

/* ---- all of it ---- */

static void put_one_json(void *context, const struct dnsbl_figures *f)
{
        struct json *j = context;
        json_open(j, NULL, '{');
        json_str(j, "list", f->domain);
        json_str(j, "of", str_from(kind_words(f->kind)));
        json_str(j, "state", str_from(state_words(f)));
        json_bool(j, "used", f->is_used);
        json_str(j, "reason", str_from(f->reason));
        json_int(j, "since", f->since_s);
        json_int(j, "tested", f->tested_s);
        json_int(j, "tests", (int64_t)f->tests);
        json_int(j, "asked", (int64_t)f->asked);
        json_int(j, "cached", (int64_t)f->cached);
        json_int(j, "listed", (int64_t)f->listed);
        json_int(j, "not_listed", (int64_t)f->not_listed);
        json_int(j, "filtered", (int64_t)f->filtered);
        json_int(j, "would_refuse", (int64_t)f->would_refuse);
        json_int(j, "refused_mail", (int64_t)f->refused_mail);
        json_int(j, "refusals", (int64_t)f->refused);
        json_int(j, "out_of_range", (int64_t)f->out_of_range);
        json_int(j, "failed", (int64_t)f->failed);
        json_int(j, "latency_us", f->latency_us);
        json_int(j, "latency_max_us", f->latency_max_us);
        json_int(j, "asked_today", f->spent);
        json_int(j, "budget", f->budget);
        json_close(j, '}');
}

void lists_put_json(struct buf *out)
{
        struct json j;
        json_init(&j, out);
        json_open(&j, NULL, '{');
        json_open(&j, "lists", '[');
        dnsbl_each(put_one_json, &j, clock_mono_ms());
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
}

struct table_text {
        struct buf *out;
        size_t count;
};

static void put_one_text(void *context, const struct dnsbl_figures *f)
{
        struct table_text *t = context;
        if (t->count++ == 0)
                buf_printf(t->out, "%-32s %-9s %-12s %9s %9s %9s %9s %7s %8s\n", "list", "of",
                           "state", "asked", "listed", "would", "refused", "failed", "ms");
        buf_printf(t->out, "%-32.*s %-9s %-12s %9llu %9llu %9llu %9llu %7llu %4lld.%03lld\n",
                   STR_ARG(f->domain), kind_words(f->kind), state_words(f),
                   (unsigned long long)f->asked, (unsigned long long)f->listed,
                   (unsigned long long)f->would_refuse, (unsigned long long)f->refused_mail,
                   (unsigned long long)(f->failed + f->refused + f->out_of_range),
                   (long long)(f->latency_us / 1000), (long long)(f->latency_us % 1000));
        if (f->reason[0]) {
                time_t since = (time_t)f->since_s;
                struct tm tm;
                char text[32];
                gmtime_r(&since, &tm);
                strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &tm);
                buf_printf(t->out, "    since %s: %s\n", text, f->reason);
        }
        if (f->budget)
                buf_printf(t->out, "    asked %lld times today, of %lld\n", (long long)f->spent,
                           (long long)f->budget);
}

void lists_put_text(struct buf *out)
{
        struct table_text t = {.out = out};
        dnsbl_each(put_one_text, &t, clock_mono_ms());
        if (t.count == 0)
                buf_printf(out, "no list in the DNS is asked by this configuration\n");
}

/* ---- for status ---- */

struct summary {
        size_t count, off;
        struct json *json; /* takes the names of those that are off; or */
        struct buf text;
};

static void sum_up(void *context, const struct dnsbl_figures *f)
{
        struct summary *s = context;
        s->count++;
        if (f->is_used && f->state != DNSBL_SILENT)
                return;
        s->off += !f->is_used;
        if (s->json)
                json_str(s->json, NULL, f->domain);
        else
                buf_printf(&s->text, "%s%.*s (%s)", s->text.len ? ", " : "", STR_ARG(f->domain),
                           state_words(f));
}

void lists_put_status_json(struct json *j)
{
        struct summary s = {.json = j};
        json_open(j, "lists", '{');
        json_open(j, "not_well", '[');
        dnsbl_each(sum_up, &s, clock_mono_ms());
        json_close(j, ']');
        json_int(j, "count", (int64_t)s.count);
        json_int(j, "off", (int64_t)s.off);
        json_close(j, '}');
}

void lists_put_status_text(struct buf *out)
{
        struct summary s = {0};
        buf_init(&s.text, 100 * 1024);
        dnsbl_each(sum_up, &s, clock_mono_ms());
        if (s.text.len)
                buf_printf(out, "lists       %zu of %zu are switched off; not well: %.*s\n", s.off,
                           s.count, STR_ARG(buf_str(&s.text)));
        buf_done(&s.text);
}
