/*
 * sql.c - what pgsql:, mysql: and sqlite: share
 *
 * Hosts are tried in random order, those on a unix socket first, as in Postfix; one that could not be
 * reached is left out for a minute, unless all are. Each pool thread takes a connection of its own;
 * what is idle for a minute is closed by tend(). A connection that was idle and turns out to be dead
 * is no failure: another is made.
 */
#include "table/sql.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/rand.h"
#include "table/domains.h"

#include <errno.h>
#include <pthread.h>

enum {
        HOSTS_MAX = 32,
        QUERY_BYTES_MAX = 65536,
        RETRY_MS = 60000,
        IDLE_MS = 60000,
};

struct sql {
        const struct sql_driver *driver;
        void *options;
        struct sql_host hosts[HOSTS_MAX];
        size_t host_count;
        char *user;
        char *password;
        char *database;
        char *query_text;
        char *result_text;
        struct query_template query;
        struct query_template result;
        struct match_list *domains; /* or NULL */
        int64_t expansion_limit;    /* 0: none */
        int64_t retry_ms;
        int64_t idle_ms;
        pthread_mutex_t lock; /* over down_until_ms of the hosts */
};

static void sql_tend(void *backend)
{
        struct sql *s = backend;
        for (size_t i = 0; i < s->host_count; i++)
                spares_close(&s->hosts[i].spares, clock_mono_ms() - s->idle_ms);
}

/* ---- one question ---- */
struct asking {
        struct sql *sql;
        struct str key;
        struct server_reply *reply;
        int64_t values;
        int error;
};

static bool take_value(void *context, struct str value)
{
        struct asking *a = context;
        struct sql *s = a->sql;
        struct buf *out = &a->reply->value;
        if (value.len == 0)
                return true;
        size_t before = out->len;
        int error = before ? buf_append_char(out, ',') : 0;
        if (!error)
                error = query_template_expand(&s->result, a->key, value, NULL, NULL, out);
        if (error) {
                out->len = before;
                a->error = error == -ENOENT ? 0 : error;
                return !a->error;
        }
        if (s->expansion_limit && ++a->values > s->expansion_limit)
                a->error = -E2BIG;
        return !a->error;
}

static enum sql_status ask_connection(struct asking *a, void *connection, int64_t deadline_ms)
{
        struct sql *s = a->sql;
        struct buf query;
        buf_init(&query, QUERY_BYTES_MAX);
        a->values = 0;
        a->error = 0;
        buf_clear(&a->reply->value);
        int error = query_template_expand(&s->query, a->key, STR(""), s->driver->quote, connection,
                                          &query);
        if (!error)
                error = buf_append_char(&query, '\0');
        enum sql_status status = SQL_REFUSED;
        if (error)
                why_set(&a->reply->why, error, "the query cannot be written: %s", why_errno(error));
        else
                status = s->driver->query(connection, query.ptr, deadline_ms, take_value, a,
                                          &a->reply->why);
        buf_done(&query);
        if (status == SQL_OK && a->error) {
                status = SQL_REFUSED;
                why_set(&a->reply->why, a->error,
                        a->error == -E2BIG ? "more results than expansion_limit allows"
                                           : "the result is too long");
        }
        return status;
}

static void mark_down(struct sql *s, struct sql_host *host)
{
        pthread_mutex_lock(&s->lock);
        host->down_until_ms = clock_mono_ms() + s->retry_ms;
        pthread_mutex_unlock(&s->lock);
}

/* By a connection that is kept or a new one. SQL_LOST: nothing is to be had from this host. */
static enum sql_status ask_host(struct asking *a, struct sql_host *host, int64_t deadline_ms)
{
        struct sql *s = a->sql;
        void *connection;
        enum sql_status status = SQL_LOST;
        while (status == SQL_LOST && clock_mono_ms() < deadline_ms &&
               (connection = spares_take(&host->spares))) {
                status = ask_connection(a, connection, deadline_ms);
                if (status == SQL_LOST)
                        s->driver->close(connection);
                else
                        spares_put(&host->spares, connection);
        }
        if (status != SQL_LOST || clock_mono_ms() >= deadline_ms)
                return status;
        connection = s->driver->connect(s->options, host, s->user, s->password, s->database,
                                        deadline_ms, &a->reply->why);
        if (!connection) {
                why_prefix(&a->reply->why, 0, "%s", host->shown);
                mark_down(s, host);
                return SQL_LOST;
        }
        a->reply->outcome = SERVER_FAILED; /* one was there */
        status = ask_connection(a, connection, deadline_ms);
        if (status == SQL_LOST) {
                s->driver->close(connection);
                why_prefix(&a->reply->why, 0, "%s", host->shown);
                mark_down(s, host);
        } else {
                spares_put(&host->spares, connection);
        }
        return status;
}

/* The order of this question: those that are up first, of these unix sockets first, else by chance. */
static size_t order_hosts(struct sql *s, struct sql_host **order)
{
        int64_t now_ms = clock_mono_ms();
        size_t count = 0;
        pthread_mutex_lock(&s->lock);
        for (int rank = 0; rank < 3; rank++) {
                size_t first = count;
                for (size_t i = 0; i < s->host_count; i++) {
                        struct sql_host *h = &s->hosts[i];
                        int own = now_ms < h->down_until_ms ? 2 : h->socket ? 0 : 1;
                        if (own != rank)
                                continue;
                        size_t at = first + rand_below(count - first + 1);
                        order[count++] = order[at];
                        order[at] = h;
                }
        }
        pthread_mutex_unlock(&s->lock);
        return count;
}

static void sql_ask(void *backend, struct str key, int64_t deadline_ms, struct server_reply *reply)
{
        struct sql *s = backend;
        struct asking a = {.sql = s, .key = key, .reply = reply};
        struct sql_host *order[HOSTS_MAX + 1];
        size_t count = order_hosts(s, order);
        enum sql_status status = SQL_LOST;
        reply->outcome = SERVER_DOWN;
        for (size_t i = 0; i < count && status == SQL_LOST; i++) {
                int64_t now_ms = clock_mono_ms();
                /* one that hangs leaves time for the others */
                int64_t share_ms = now_ms + (deadline_ms - now_ms) / (int64_t)(count - i);
                if (now_ms < deadline_ms)
                        status = ask_host(&a, order[i], share_ms);
        }
        if (status == SQL_LOST)
                return;
        reply->outcome = status == SQL_OK ? SERVER_ANSWERED : SERVER_REFUSED;
        reply->is_found = status == SQL_OK && reply->value.len > 0;
}

static bool is_utf8(struct str s)
{
        for (size_t i = 0; i < s.len;) {
                unsigned char c = (unsigned char)s.ptr[i];
                size_t more = c < 0x80                ? 0
                              : c >= 0xc2 && c < 0xe0 ? 1
                              : c >= 0xe0 && c < 0xf0 ? 2
                              : c >= 0xf0 && c < 0xf5 ? 3
                                                      : 4;
                if (more == 4 || s.len - i <= more)
                        return false;
                for (size_t k = 1; k <= more; k++)
                        if (((unsigned char)s.ptr[i + k] & 0xc0) != 0x80)
                                return false;
                unsigned char next = more ? (unsigned char)s.ptr[i + 1] : 0;
                if ((c == 0xe0 && next < 0xa0) || (c == 0xed && next > 0x9f) ||
                    (c == 0xf0 && next < 0x90) || (c == 0xf4 && next > 0x8f))
                        return false;
                i += more + 1;
        }
        return true;
}

/* Bytes that are no UTF-8 are no text of a database: as in Postfix there is no such entry. */
static bool await_sql_wants(const void *backend, struct str key)
{
        const struct sql *s = backend;
        return is_utf8(key) && query_template_fits(&s->query, key) &&
               query_template_fits(&s->result, key) && await_domains_want(s->domains, key);
}

/* ---- settings ---- */
static void sql_free(void *backend)
{
        struct sql *s = backend;
        for (size_t i = 0; i < s->host_count; i++) {
                spares_done(&s->hosts[i].spares);
                free(s->hosts[i].spec);
                free(s->hosts[i].socket);
                free(s->hosts[i].name);
        }
        if (s->driver->free_options)
                s->driver->free_options(s->options);
        if (s->password)
                explicit_bzero(s->password, strlen(s->password));
        free(s->user);
        free(s->password);
        free(s->database);
        free(s->query_text);
        free(s->result_text);
        pthread_mutex_destroy(&s->lock);
        free(s);
}

/* NULL when it is not set. */
static char *copy_of(const struct table_settings *settings, const char *name)
{
        struct str value = table_settings_get(settings, name, "");
        return table_settings_has(settings, name) ? strndup(value.ptr, value.len) : NULL;
}

static int host_parse(const struct table_settings *settings, struct sql_host *h, struct str text,
                      void (*close)(void *))
{
        h->spec = strndup(text.ptr, text.len);
        check(h->spec);
        h->shown = h->spec;
        spares_init(&h->spares, close);
        if (str_starts(text, STR("postgresql://")) || str_starts(text, STR("postgres://"))) {
                h->is_uri = true;
                h->shown = "the server of the URI";
                return 0;
        }
        if (str_starts(text, STR("unix:"))) {
                h->socket = strdup(h->spec + 5);
                return h->socket[0] ? 0
                                    : table_settings_fault(settings, "hosts", "write unix:/path",
                                                           "the path of a socket is missing");
        }
        if (str_starts(text, STR("inet:")))
                text = str_tail(text, 5);
        struct str name = text;
        ptrdiff_t colon = str_find_last(text, ':');
        if (text.len && text.ptr[0] == '[') {
                ptrdiff_t end = str_find(text, ']');
                if (end < 0)
                        return table_settings_fault(settings, "hosts", NULL,
                                                    "a \"[\" is not closed");
                name = str_part(text, 1, (size_t)end - 1);
                colon = colon > end ? colon : -1;
        } else if (colon >= 0) {
                name = str_part(text, 0, (size_t)colon);
        }
        int64_t port = 0;
        if ((colon >= 0 && str_to_int64(str_tail(text, (size_t)colon + 1), 1, 65535, &port) != 0) ||
            name.len == 0)
                return table_settings_fault(settings, "hosts", "write host or host:port",
                                            "a server is not understood");
        h->name = strndup(name.ptr, name.len);
        h->port = (int)port;
        return 0;
}

static int read_hosts(struct sql *s, const struct table_settings *settings)
{
        struct str rest = table_settings_get(settings, "hosts", s->driver->hosts);
        struct str item;
        while (item_next(&rest, &item)) {
                if (s->host_count == HOSTS_MAX)
                        return table_settings_fault(settings, "hosts", NULL, "more than %d servers",
                                                    HOSTS_MAX);
                int error =
                        host_parse(settings, &s->hosts[s->host_count++], item, s->driver->close);
                if (error)
                        return error;
        }
        return 0;
}

/* The old ways to write a query, in parts; NULL when there is none. */
static char *old_query(const struct table_settings *settings)
{
        char *query = NULL;
        struct str function = table_settings_get(settings, "select_function", "");
        struct str table = table_settings_get(settings, "table", "");
        struct str select = table_settings_get(settings, "select_field", "");
        struct str where = table_settings_get(settings, "where_field", "");
        struct str more = table_settings_get(settings, "additional_conditions", "");
        int n = 0;
        if (function.len)
                n = asprintf(&query, "SELECT %.*s('%%s')", STR_ARG(function));
        else if (table.len && select.len && where.len)
                n = asprintf(&query, "SELECT %.*s FROM %.*s WHERE %.*s = '%%s' %.*s",
                             STR_ARG(select), STR_ARG(table), STR_ARG(where), STR_ARG(more));
        check(n >= 0);
        return query;
}

static int read_templates(struct sql *s, const struct table_settings *settings)
{
        struct why why;
        s->query_text = copy_of(settings, "query");
        if (!s->query_text)
                s->query_text = old_query(settings);
        if (!s->query_text)
                return table_settings_fault(settings, "query", "write: query = SELECT ... '%s'",
                                            "it is missing");
        if (query_template_parse(&s->query, str_from(s->query_text), false, &why) < 0)
                return table_settings_fault(settings, "query", NULL, "%s", why.text);
        struct str result = table_settings_get(settings, "result_format", "%s");
        s->result_text = strndup(result.ptr, result.len);
        check(s->result_text);
        if (query_template_parse(&s->result, str_from(s->result_text), true, &why) < 0)
                return table_settings_fault(settings, "result_format", NULL, "%s", why.text);
        return table_settings_number(settings, "expansion_limit", 0, 0, INT32_MAX,
                                     &s->expansion_limit);
}

static int read_times(struct sql *s, const struct table_settings *settings)
{
        int64_t retry = 0;
        int64_t idle = 0;
        int error = table_settings_number(settings, "retry_interval", RETRY_MS / 1000, 1, 86400,
                                          &retry);
        if (!error)
                error = table_settings_number(settings, "idle_interval", IDLE_MS / 1000, 1, 86400,
                                              &idle);
        s->retry_ms = retry * 1000;
        s->idle_ms = idle * 1000;
        return error;
}

static int read_all(struct sql *s, const struct table_settings *settings)
{
        int error = read_hosts(s, settings);
        if (!error)
                error = read_templates(s, settings);
        if (!error)
                error = read_times(s, settings);
        if (!error)
                error = domains_open(settings, &s->domains);
        if (!error && s->driver->open)
                error = s->driver->open(settings, &s->options);
        if (error)
                return error;
        s->user = copy_of(settings, "user");
        s->password = copy_of(settings, "password");
        s->database = copy_of(settings, "dbname");
        bool has_secret = s->password != NULL;
        for (size_t i = 0; i < s->host_count; i++)
                has_secret |= s->hosts[i].is_uri && strchr(s->hosts[i].spec, '@');
        if (has_secret)
                table_settings_check_secret(settings);
        return 0;
}

int sql_open(const struct sql_driver *driver, struct table_text *text, void **contents)
{
        static const struct server_kind kind = {
                .is_blocking = true,
                .await_wants = await_sql_wants,
                .ask = sql_ask,
                .tend = sql_tend,
                .free = sql_free,
        };
        struct table_settings settings;
        struct sql *s = calloc(1, sizeof(*s));
        check(s);
        s->driver = driver;
        pthread_mutex_init(&s->lock, NULL);
        int error = table_settings_read(&settings, text);
        if (!error)
                error = read_all(s, &settings);
        if (error)
                sql_free(s);
        else
                *contents = server_new(text, &kind, s, buf_str(&settings.definition));
        table_settings_done(&settings);
        return error;
}
