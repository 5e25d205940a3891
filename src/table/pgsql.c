/*
 * pgsql.c - pgsql: (pgsql_table(5)) by libpq, whose socket is watched here, so that each step ends at the
 * deadline
 */
#include "base/clock.h"
#include "table/sql.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>

/* 0: ready; -ETIMEDOUT or another negative errno. */
static int wait_for(PGconn *c, short events, int64_t deadline_ms)
{
        for (;;) {
                int64_t left = deadline_ms - clock_mono_ms();
                struct pollfd p = {.fd = PQsocket(c), .events = events};
                if (left <= 0)
                        return -ETIMEDOUT;
                if (p.fd < 0)
                        return -EBADF;
                int n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
                if (n > 0)
                        return 0;
                if (n < 0 && errno != EINTR)
                        return -errno;
        }
}

/* libpq's words, of which the first line says it. */
static void say(struct why *why, const PGconn *c)
{
        struct str text = str_from(PQerrorMessage(c));
        struct str line = str_trim(str_cut(&text, '\n'));
        why_set(why, 0, "%.*s", (int)(line.len > 300 ? 300 : line.len), line.ptr);
}

static PGconn *start(const char *encoding, const struct sql_host *host, const char *user,
                     const char *password, const char *database)
{
        char port[16] = "";
        const char *names[9];
        const char *values[9];
        size_t n = 0;
        if (host->is_uri) {
                names[n] = "dbname";
                values[n++] = host->spec;
        } else if (database) {
                names[n] = "dbname";
                values[n++] = database;
        }
        if (!host->is_uri) {
                names[n] = "host";
                values[n++] = host->socket ? host->socket : host->name;
                if (host->port)
                        snprintf(port, sizeof(port), "%d", host->port);
                names[n] = "port";
                values[n++] = port;
        }
        if (user && !host->is_uri) {
                names[n] = "user";
                values[n++] = user;
        }
        if (password && !host->is_uri) {
                names[n] = "password";
                values[n++] = password;
        }
        names[n] = "client_encoding";
        values[n++] = encoding;
        names[n] = "fallback_application_name";
        values[n++] = "forepost";
        names[n] = NULL;
        values[n] = NULL;
        return PQconnectStartParams(names, values, 1);
}

static void *pgsql_connect(const void *options, const struct sql_host *host, const char *user,
                           const char *password, const char *database, int64_t deadline_ms,
                           struct why *why)
{
        PGconn *c = start(options, host, user, password, database);
        PostgresPollingStatusType step = PGRES_POLLING_WRITING;
        int rc = c && PQstatus(c) != CONNECTION_BAD ? 0 : -EIO;
        bool is_understood = rc == 0;
        while (rc == 0 && step != PGRES_POLLING_OK) {
                rc = wait_for(c, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline_ms);
                if (rc == 0)
                        step = PQconnectPoll(c);
                if (step == PGRES_POLLING_FAILED)
                        rc = -EIO;
        }
        if (rc == 0 && PQsetnonblocking(c, 1) == 0)
                return c;
        if (rc == -ETIMEDOUT)
                why_set(why, rc, "no connection in time");
        else if (c && (!host->is_uri || is_understood))
                say(why, c);
        else
                why_set(why, -EIO,
                        "no connection"); /* words about a bad URI show it, password and all */
        PQfinish(c);
        return NULL;
}

static void pgsql_close(void *connection)
{
        PQfinish(connection);
}

static int pgsql_quote(void *connection, struct str part, struct buf *out)
{
        char *room = buf_reserve(out, part.len * 2 + 1);
        int error = 0;
        if (!room)
                return -ENOBUFS;
        size_t len = PQescapeStringConn(connection, room, part.ptr, part.len, &error);
        if (error)
                return -EILSEQ;
        buf_grow(out, len);
        return 0;
}

static int send_query(PGconn *c, const char *query, int64_t deadline_ms)
{
        if (!PQsendQuery(c, query))
                return -EIO;
        int left;
        while ((left = PQflush(c)) == 1) {
                int rc = wait_for(c, POLLOUT | POLLIN, deadline_ms);
                if (rc)
                        return rc;
                if (!PQconsumeInput(c))
                        return -EIO;
        }
        return left < 0 ? -EIO : 0;
}

/* The next result, NULL at the end. */
static int next_result(PGconn *c, int64_t deadline_ms, PGresult **result)
{
        while (PQisBusy(c)) {
                int rc = wait_for(c, POLLIN, deadline_ms);
                if (rc)
                        return rc;
                if (!PQconsumeInput(c))
                        return -EIO;
        }
        *result = PQgetResult(c);
        return 0;
}

static bool take_rows(const PGresult *result, sql_value *each, void *context)
{
        for (int row = 0; row < PQntuples(result); row++)
                for (int column = 0; column < PQnfields(result); column++)
                        if (!PQgetisnull(result, row, column) &&
                            !each(context, str_make(PQgetvalue(result, row, column),
                                                    (size_t)PQgetlength(result, row, column))))
                                return false;
        return true;
}

static enum sql_status pgsql_query(void *connection, const char *query, int64_t deadline_ms,
                                   sql_value *each, void *context, struct why *why)
{
        PGconn *c = connection;
        bool is_refused = false;
        bool takes_more = true;
        int rc = send_query(c, query, deadline_ms);
        PGresult *result = NULL;
        while (rc == 0 && (rc = next_result(c, deadline_ms, &result)) == 0 && result) {
                if (PQresultStatus(result) != PGRES_TUPLES_OK) {
                        is_refused = true;
                        say(why, c);
                } else if (takes_more && !is_refused) {
                        takes_more = take_rows(result, each, context);
                }
                PQclear(result);
        }
        if (rc == -ETIMEDOUT)
                why_set(why, rc, "no answer in time");
        else if (rc)
                say(why, c);
        if (rc || PQstatus(c) == CONNECTION_BAD)
                return SQL_LOST;
        return is_refused ? SQL_REFUSED : SQL_OK;
}

static int pgsql_options(const struct table_settings *s, void **options)
{
        struct str encoding = table_settings_get(s, "encoding", "UTF8");
        struct str rest = table_settings_get(s, "hosts", "");
        struct str item;
        while (item_next(&rest, &item)) {
                if (!str_starts(item, STR("postgres")) || str_find_str(item, STR("://")) < 0)
                        continue;
                char *uri = strndup(item.ptr, item.len);
                char *words = NULL;
                PQconninfoOption *parsed = PQconninfoParse(uri, &words);
                bool is_good = parsed != NULL;
                PQconninfoFree(parsed);
                PQfreemem(words); /* they may show the password */
                free(uri);
                if (!is_good)
                        return table_settings_fault(s, "hosts", NULL, "a URI is not understood");
        }
        *options = strndup(encoding.ptr, encoding.len);
        return 0;
}

static const struct sql_driver driver = {
        .type = &table_type_pgsql,
        .hosts = "localhost",
        .open = pgsql_options,
        .free_options = free,
        .connect = pgsql_connect,
        .close = pgsql_close,
        .quote = pgsql_quote,
        .query = pgsql_query,
};

static int pgsql_open(struct table_text *text, void **contents)
{
        return sql_open(&driver, text, contents);
}

const struct table_type table_type_pgsql = {
        .name = "pgsql",
        .source = SOURCE_SETTINGS,
        .folds_key = true,
        .bytes_max = SETTINGS_BYTES_MAX,
        .open = pgsql_open,
        .find = await_server_find,
        .free = server_free,
        .tend = server_tend,
        .figures = server_figures,
};
