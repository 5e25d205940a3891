/* sqlite.c - sqlite: (sqlite_table(5)): a database in a file, opened for reading alone */
#include "base/clock.h"
#include "table/sql.h"

#include <errno.h>
#include <sqlite3.h>

struct connection {
        sqlite3 *db;
        int64_t deadline_ms;
};

/* Called now and then while a query runs. */
static int is_late(void *context)
{
        const struct connection *c = context;
        return clock_mono_ms() >= c->deadline_ms;
}

static void sqlite_close_connection(void *connection)
{
        struct connection *c = connection;
        sqlite3_close(c->db);
        free(c);
}

static void *sqlite_connect(const void *options, const struct sql_host *host, const char *user,
                            const char *password, const char *database, int64_t deadline_ms,
                            struct why *why)
{
        struct connection *c = calloc(1, sizeof(*c));
        if (c && sqlite3_open_v2(options, &c->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                                 NULL) == SQLITE_OK) {
                int64_t left = deadline_ms - clock_mono_ms();
                sqlite3_busy_timeout(c->db, left > 0 && left < 60000 ? (int)left : 1000);
                sqlite3_progress_handler(c->db, 1000, is_late, c);
                return c;
        }
        why_set(why, -EIO, "%s", c && c->db ? sqlite3_errmsg(c->db) : "out of memory");
        if (c)
                sqlite_close_connection(c);
        return NULL;
}

static int sqlite_quote(void *connection, struct str part, struct buf *out)
{
        for (size_t i = 0; i < part.len; i++) {
                int rc = part.ptr[i] == '\'' ? buf_append_char(out, '\'') : 0;
                if (rc == 0)
                        rc = buf_append_char(out, part.ptr[i]);
                if (rc)
                        return rc;
        }
        return 0;
}

static enum sql_status sqlite_query(void *connection, const char *query, int64_t deadline_ms,
                                    sql_value *each, void *context, struct why *why)
{
        struct connection *c = connection;
        sqlite3_stmt *statement;
        c->deadline_ms = deadline_ms;
        int rc = sqlite3_prepare_v2(c->db, query, -1, &statement, NULL);
        bool takes_more = rc == SQLITE_OK;
        while (takes_more && (rc = sqlite3_step(statement)) == SQLITE_ROW)
                for (int i = 0; takes_more && i < sqlite3_column_count(statement); i++) {
                        const unsigned char *text = sqlite3_column_text(statement, i);
                        if (text)
                                takes_more = each(context, str_from((const char *)text));
                }
        if (rc != SQLITE_OK && rc != SQLITE_ROW && rc != SQLITE_DONE)
                why_set(why, -EIO, "%s", sqlite3_errmsg(c->db));
        sqlite3_finalize(statement);
        switch (rc & 0xff) {
        case SQLITE_OK:
        case SQLITE_ROW:
        case SQLITE_DONE:
                return SQL_OK;
        case SQLITE_ERROR:
        case SQLITE_TOOBIG:
                return SQL_REFUSED;
        default: /* locked, replaced, damaged, too slow: opened anew it may be well */
                return SQL_LOST;
        }
}

static int sqlite_options(const struct table_settings *s, void **options)
{
        struct str path = table_settings_get(s, "dbpath", "");
        if (path.len == 0)
                return table_settings_fault(s, "dbpath", "name the file of the database",
                                            "it is missing");
        *options = strndup(path.ptr, path.len);
        return 0;
}

static const struct sql_driver driver = {
        .type = &table_type_sqlite,
        .hosts = "the-database",
        .open = sqlite_options,
        .free_options = free,
        .connect = sqlite_connect,
        .close = sqlite_close_connection,
        .quote = sqlite_quote,
        .query = sqlite_query,
};

static int sqlite_open(struct table_text *text, void **contents)
{
        return sql_open(&driver, text, contents);
}

const struct table_type table_type_sqlite = {
        .name = "sqlite",
        .source = SOURCE_SETTINGS,
        .folds_key = true,
        .bytes_max = SETTINGS_BYTES_MAX,
        .open = sqlite_open,
        .find = await_server_find,
        .free = server_free,
        .tend = server_tend,
        .figures = server_figures,
};
