/* status.c - what the server is doing, in figures */
#include "ops/errand.h"
#include "ops/json.h"
#include "ops/lists.h"
#include "ops/ops_private.h"
#include "session/front_door.h"

#include "base/check.h"
#include "base/log.h"

#include <unistd.h>

enum { STATUS_BYTES_MAX = 4 * 1024 * 1024, TABLE_BYTES_MAX = 400 };

struct figures {
        struct station *station;
        struct session_counts sessions;
        struct delivery_counts delivery;
        size_t tasks;
        size_t stack_bytes;
};

/* On the station's loop. */
static void count_station(void *arg)
{
        struct figures *f = arg;
        struct station *s = f->station;
        for (size_t i = 0; i < s->post_count; i++) {
                struct session_counts one;
                if (!s->posts[i].listener)
                        continue;
                listener_count(s->posts[i].listener, &one);
                f->sessions.connections += one.connections;
                f->sessions.messages += one.messages;
                f->sessions.refused += one.refused;
                f->sessions.open += one.open;
        }
        if (s->delivery) /* else it is ending */
                delivery_count(s->delivery, &f->delivery);
        f->tasks = task_count(s->loop);
        f->stack_bytes = task_stack_high_water(s->loop);
}

static struct figures *await_figures(struct worker *w)
{
        struct figures *figures = calloc(w->station_count, sizeof(*figures));
        struct errand *errands = calloc(w->station_count, sizeof(*errands));
        check(figures && errands);
        for (size_t i = 0; i < w->station_count; i++) {
                figures[i].station = &w->stations[i];
                errand_send(&errands[i], w->stations[i].loop, count_station, &figures[i]);
        }
        await_errands(errands, w->station_count, "counting on");
        free(errands);
        return figures;
}

static void put_sessions(struct json *j, const struct session_counts *c)
{
        json_int(j, "sessions", (int64_t)c->open);
        json_int(j, "connections", (int64_t)c->connections);
        json_int(j, "messages", (int64_t)c->messages);
        json_int(j, "refused", (int64_t)c->refused);
}

static void put_delivery(struct json *j, const struct delivery_counts *c)
{
        json_int(j, "sent", (int64_t)c->sent);
        json_int(j, "deferred", (int64_t)c->deferred);
        json_int(j, "bounced", (int64_t)c->bounced);
        json_int(j, "discarded", (int64_t)c->discarded);
        json_int(j, "destinations", (int64_t)c->destinations);
        json_int(j, "client_connections", (int64_t)c->connections);
}

static void put_queue(struct json *j, const struct worker *w)
{
        struct spool_counts c;
        spool_count(w->spool, &c);
        json_open(j, "queue", '{');
        json_bool(j, "draining", front_door_is_closed(w->door));
        json_int(j, "active", (int64_t)c.active);
        json_int(j, "deferred", (int64_t)c.deferred);
        json_int(j, "hold", (int64_t)c.held);
        json_int(j, "disk_bytes", c.disk_bytes);
        json_int(j, "commits", (int64_t)c.commits);
        json_int(j, "syncs", (int64_t)c.syncs);
        json_int(j, "damaged", (int64_t)c.damaged);
        json_close(j, '}');
}

static void put_listeners(struct json *j, const struct worker *w)
{
        json_open(j, "listen", '[');
        for (size_t i = 0; i < w->listen.count; i++) {
                const struct listen_address *a = &w->listen.list[i];
                json_open(j, NULL, '{');
                json_str(j, "address", str_from(a->text));
                json_str(j, "service", w->site->config->services[a->service].command);
                json_close(j, '}');
        }
        json_close(j, ']');
}

static void add(struct figures *sum, const struct figures *f)
{
        sum->sessions.open += f->sessions.open;
        sum->sessions.connections += f->sessions.connections;
        sum->sessions.messages += f->sessions.messages;
        sum->sessions.refused += f->sessions.refused;
        sum->delivery.sent += f->delivery.sent;
        sum->delivery.deferred += f->delivery.deferred;
        sum->delivery.bounced += f->delivery.bounced;
        sum->delivery.discarded += f->delivery.discarded;
        sum->delivery.destinations += f->delivery.destinations;
        sum->delivery.connections += f->delivery.connections;
}

static void put_dns_figures(struct json *j, const struct dns_figures *f)
{
        json_int(j, "asked", (int64_t)f->asked);
        json_int(j, "cached", (int64_t)f->cached);
        json_int(j, "found", (int64_t)f->found);
        json_int(j, "no_data", (int64_t)f->no_data);
        json_int(j, "no_name", (int64_t)f->no_name);
        json_int(j, "failed", (int64_t)f->failed);
        json_int(j, "bogus", (int64_t)f->bogus);
        json_int(j, "timed_out", (int64_t)f->timed_out);
}

static void put_dns_zone(void *context, struct str zone, const struct dns_figures *f)
{
        struct json *j = context;
        json_open(j, NULL, '{');
        json_str(j, "zone", zone);
        put_dns_figures(j, f);
        json_close(j, '}');
}

static void put_dns(struct json *j, const struct dns *dns)
{
        struct dns_figures f;
        dns_figures(dns, &f);
        json_open(j, "dns", '{');
        put_dns_figures(j, &f);
        json_open(j, "zones", '[');
        dns_figures_each(dns, put_dns_zone, j);
        json_close(j, ']');
        json_close(j, '}');
}

static void put_table(void *context, const struct table_figures *f)
{
        struct json *j = context;
        json_open(j, NULL, '{');
        json_str(j, "table", str_part(f->name, 0, TABLE_BYTES_MAX));
        if (f->has_entries)
                json_int(j, "entries", (int64_t)f->entries);
        json_int(j, "looks", (int64_t)f->looks);
        json_int(j, "errors", (int64_t)f->errors);
        if (f->file_time_s) {
                json_int(j, "file_age", clock_wall_us() / 1000000 - f->file_time_s);
                json_bool(j, "old_contents", f->is_old);
        }
        if (f->has_server)
                json_str(j, "server", f->is_paused ? STR("does not answer") : STR("answers"));
        json_close(j, '}');
}

static void put_tables(struct json *j, struct table_set *tables)
{
        json_open(j, "tables", '[');
        table_set_figures(tables, put_table, j);
        json_close(j, ']');
}

struct table_sum {
        size_t count, old, paused;
        uint64_t looks, errors;
};

static void add_table(void *context, const struct table_figures *f)
{
        struct table_sum *sum = context;
        sum->count++;
        sum->old += f->is_old;
        sum->paused += f->is_paused;
        sum->looks += f->looks;
        sum->errors += f->errors;
}

static void put_tables_text(struct buf *out, struct table_set *tables)
{
        struct table_sum sum = {0};
        table_set_figures(tables, add_table, &sum);
        buf_printf(out, "tables      %zu, %llu questions, %llu errors", sum.count,
                   (unsigned long long)sum.looks, (unsigned long long)sum.errors);
        if (sum.old)
                buf_printf(out, "; %zu with a file that is wrong or gone", sum.old);
        if (sum.paused)
                buf_printf(out, "; %zu whose server does not answer", sum.paused);
        buf_append_char(out, '\n');
}

static int64_t uptime_s(const struct worker *w)
{
        return (clock_wall_us() - w->started_us) / 1000000;
}

static void put_json(struct buf *out, struct worker *w, const struct figures *figures,
                     const struct figures *sum)
{
        struct json j;
        json_init(&j, out);
        json_open(&j, NULL, '{');
        json_str(&j, "version", STR(FOREPOST_VERSION));
        json_int(&j, "pid", getpid());
        json_int(&j, "supervisor_pid", getppid());
        json_int(&j, "started", w->started_us / 1000000);
        json_int(&j, "uptime", uptime_s(w));
        json_str(&j, "configuration", w->site->config->dir);
        json_int(&j, "reloads", (int64_t)w->reloads);
        json_int(&j, "reloads_refused", (int64_t)w->reloads_refused);
        if (w->reloaded_us)
                json_int(&j, "reloaded", w->reloaded_us / 1000000);
        put_listeners(&j, w);
        put_sessions(&j, &sum->sessions);
        put_delivery(&j, &sum->delivery);
        put_queue(&j, w);
        put_dns(&j, w->site->dns);
        lists_put_status_json(&j);
        put_tables(&j, w->site->tables);
        json_int(&j, "log_dropped", (int64_t)log_dropped());
        json_open(&j, "loops", '[');
        for (size_t i = 0; i < w->station_count; i++) {
                json_open(&j, NULL, '{');
                put_sessions(&j, &figures[i].sessions);
                put_delivery(&j, &figures[i].delivery);
                json_int(&j, "tasks", (int64_t)figures[i].tasks);
                json_int(&j, "stack_bytes", (int64_t)figures[i].stack_bytes);
                json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
}

static void put_text(struct buf *out, struct worker *w, const struct figures *sum)
{
        struct spool_counts c;
        spool_count(w->spool, &c);
        int64_t up = uptime_s(w);
        buf_printf(out, "forepost %s, process %d, up %lld:%02d:%02d, configuration %.*s\n",
                   FOREPOST_VERSION, (int)getpid(), (long long)(up / 3600), (int)(up / 60 % 60),
                   (int)(up % 60), STR_ARG(w->site->config->dir));
        for (size_t i = 0; i < w->listen.count; i++)
                buf_printf(out, "listens on  %s\n", w->listen.list[i].text);
        buf_printf(out,
                   "sessions    %zu open, %llu since the start; %llu messages, %llu refusals\n",
                   sum->sessions.open, (unsigned long long)sum->sessions.connections,
                   (unsigned long long)sum->sessions.messages,
                   (unsigned long long)sum->sessions.refused);
        buf_printf(out, "recipients  %llu sent, %llu deferred, %llu bounced\n",
                   (unsigned long long)sum->delivery.sent,
                   (unsigned long long)sum->delivery.deferred,
                   (unsigned long long)sum->delivery.bounced);
        buf_printf(out, "queue       %zu active, %zu deferred, %zu on hold; %lld bytes on disk\n",
                   c.active, c.deferred, c.held, (long long)c.disk_bytes);
        struct dns_figures dns;
        dns_figures(w->site->dns, &dns);
        buf_printf(out,
                   "dns         %llu questions, %llu from the cache, %llu failed (%llu bogus)\n",
                   (unsigned long long)dns.asked, (unsigned long long)dns.cached,
                   (unsigned long long)dns.failed, (unsigned long long)dns.bogus);
        lists_put_status_text(out);
        put_tables_text(out, w->site->tables);
        if (log_dropped())
                buf_printf(out, "log         %zu lines were dropped: who takes it is too slow\n",
                           (size_t)log_dropped());
        if (c.damaged)
                buf_printf(out, "damaged     %zu records were set aside at the start (corrupt/)\n",
                           c.damaged);
}

void await_control_status(struct conversation *c, const struct request *request)
{
        struct worker *w = conversation_worker(c);
        struct figures *figures = await_figures(w);
        struct figures sum = {0};
        for (size_t i = 0; i < w->station_count; i++)
                add(&sum, &figures[i]);
        struct buf out;
        buf_init(&out, STATUS_BYTES_MAX);
        if (request->wants_json)
                put_json(&out, w, figures, &sum);
        else
                put_text(&out, w, &sum);
        free(figures);
        await_conversation_put(c, '|', buf_str(&out));
        buf_done(&out);
}
