/* mysql.c - mysql: (mysql_table(5)) by libmariadb */
#include "base/check.h"
#include "base/clock.h"
#include "table/sql.h"

#include <errno.h>
#include <mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PORT = 3306, LOST_IN_QUERY = 2013, GONE_AWAY = 2006, SHUTDOWN = 1053, KILLED = 1927 };

struct options {
        char *option_file;
        char *option_group;
        char *key_file;
        char *cert_file;
        char *ca_file;
        char *ca_path;
        char *ciphers;
        char *charset;
        bool verifies;
        bool requires_result;
};

struct connection {
        MYSQL mysql;
        bool requires_result;
};

static void set_times(MYSQL *m, int64_t deadline_ms)
{
        int64_t left = deadline_ms - clock_mono_ms();
        unsigned seconds = left > 1000 ? (unsigned)((left + 999) / 1000) : 1;
        mysql_options(m, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
        mysql_options(m, MYSQL_OPT_READ_TIMEOUT, &seconds);
        mysql_options(m, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
}

static void set_options(MYSQL *m, const struct options *o, int64_t deadline_ms)
{
        set_times(m, deadline_ms);
        if (o->option_file)
                mysql_options(m, MYSQL_READ_DEFAULT_FILE, o->option_file);
        if (o->option_group)
                mysql_options(m, MYSQL_READ_DEFAULT_GROUP, o->option_group);
        if (o->key_file || o->cert_file || o->ca_file || o->ca_path || o->ciphers)
                mysql_ssl_set(m, o->key_file, o->cert_file, o->ca_file, o->ca_path, o->ciphers);
        if (o->verifies) {
                my_bool yes = 1;
                mysql_options(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
        }
        mysql_options(m, MYSQL_SET_CHARSET_NAME, o->charset);
}

static void mysql_close_connection(void *connection)
{
        struct connection *c = connection;
        mysql_close(&c->mysql);
        free(c);
}

static void say(struct why *why, MYSQL *m)
{
        why_set(why, -EIO, "%.300s", mysql_error(m));
}

static void *mysql_connect_host(const void *options, const struct sql_host *host, const char *user,
                                const char *password, const char *database, int64_t deadline_ms,
                                struct why *why)
{
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        const struct options *o = options;
        struct connection *c = calloc(1, sizeof(*c));
        check(c);
        pthread_mutex_lock(&lock); /* the library prepares itself at the first call */
        MYSQL *m = mysql_init(&c->mysql);
        pthread_mutex_unlock(&lock);
        if (!m) {
                free(c);
                why_set(why, -ENOMEM, "out of memory");
                return NULL;
        }
        c->requires_result = o->requires_result;
        set_options(m, o, deadline_ms);
        unsigned port = host->port ? (unsigned)host->port : host->socket ? 0 : PORT;
        if (mysql_real_connect(m, host->name, user, password, database, port, host->socket,
                               CLIENT_MULTI_RESULTS))
                return c;
        say(why, m);
        mysql_close_connection(c);
        return NULL;
}

static int mysql_quote(void *connection, struct str part, struct buf *out)
{
        struct connection *c = connection;
        char *room = buf_reserve(out, part.len * 2 + 1);
        if (!room)
                return -ENOBUFS;
        unsigned long len = mysql_real_escape_string(&c->mysql, room, part.ptr, part.len);
        if (len == (unsigned long)-1)
                return -EILSEQ;
        buf_grow(out, len);
        return 0;
}

static bool take_rows(MYSQL_RES *result, sql_value *each, void *context)
{
        unsigned fields = mysql_num_fields(result);
        MYSQL_ROW row;
        while ((row = mysql_fetch_row(result))) {
                unsigned long *lengths = mysql_fetch_lengths(result);
                for (unsigned i = 0; i < fields; i++)
                        if (row[i] && !each(context, str_make(row[i], lengths[i])))
                                return false;
        }
        return true;
}

static enum sql_status fail(MYSQL *m, struct why *why)
{
        unsigned error = mysql_errno(m);
        say(why, m);
        bool is_lost = (error >= 2000 && error < 3000) || error == SHUTDOWN || error == KILLED;
        return is_lost ? SQL_LOST : SQL_REFUSED;
}

static enum sql_status mysql_ask(void *connection, const char *query, int64_t deadline_ms,
                                 sql_value *each, void *context, struct why *why)
{
        struct connection *c = connection;
        MYSQL *m = &c->mysql;
        bool takes_more = true;
        bool has_result = false;
        set_times(m, deadline_ms);
        int rc = mysql_query(m, query);
        while (rc == 0) { /* a stored procedure gives several results */
                MYSQL_RES *result = mysql_store_result(m);
                if (result) {
                        has_result = true;
                        takes_more = takes_more && take_rows(result, each, context);
                        mysql_free_result(result);
                } else if (mysql_field_count(m)) {
                        return fail(m, why);
                }
                rc = mysql_next_result(m); /* -1: that was the last */
        }
        if (rc > 0)
                return fail(m, why);
        if (has_result || !c->requires_result)
                return SQL_OK;
        why_set(why, -EINVAL, "the query gives no result set (require_result_set = no allows it)");
        return SQL_REFUSED;
}

/* ---- settings ---- */
static void free_options(void *options)
{
        struct options *o = options;
        if (!o)
                return;
        free(o->option_file);
        free(o->option_group);
        free(o->key_file);
        free(o->cert_file);
        free(o->ca_file);
        free(o->ca_path);
        free(o->ciphers);
        free(o->charset);
        free(o);
}

static char *copy_of(const struct table_settings *s, const char *name, const char *initial)
{
        struct str value = table_settings_get(s, name, initial);
        return value.len ? strndup(value.ptr, value.len) : NULL;
}

static int mysql_options_read(const struct table_settings *s, void **options)
{
        struct options *o = calloc(1, sizeof(*o));
        check(o);
        o->option_file = copy_of(s, "option_file", "");
        o->option_group = copy_of(s, "option_group", "client");
        o->key_file = copy_of(s, "tls_key_file", "");
        o->cert_file = copy_of(s, "tls_cert_file", "");
        o->ca_file = copy_of(s, "tls_CAfile", "");
        o->ca_path = copy_of(s, "tls_CApath", "");
        o->ciphers = copy_of(s, "tls_ciphers", "");
        o->charset = copy_of(s, "charset", "utf8mb4");
        *options = o;
        int error = table_settings_bool(s, "tls_verify_cert", false, &o->verifies);
        if (!error)
                error = table_settings_bool(s, "require_result_set", true, &o->requires_result);
        return error;
}

static const struct sql_driver driver = {
        .type = &table_type_mysql,
        .hosts = "localhost",
        .open = mysql_options_read,
        .free_options = free_options,
        .connect = mysql_connect_host,
        .close = mysql_close_connection,
        .quote = mysql_quote,
        .query = mysql_ask,
};

static int mysql_open(struct table_text *text, void **contents)
{
        return sql_open(&driver, text, contents);
}

const struct table_type table_type_mysql = {
        .name = "mysql",
        .source = SOURCE_SETTINGS,
        .folds_key = true,
        .bytes_max = SETTINGS_BYTES_MAX,
        .open = mysql_open,
        .find = await_server_find,
        .free = server_free,
        .tend = server_tend,
        .figures = server_figures,
};
