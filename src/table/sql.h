/*
 * sql.h - what pgsql:, mysql: and sqlite: share: the query and its parts, hosts one after the other,
 * connections that are kept
 *
 * Private to this room. A driver knows one library; it blocks, on a thread of the pool.
 */
#ifndef TABLE_SQL_H
#define TABLE_SQL_H

#include "table/query_template.h"
#include "table/server.h"
#include "table/settings.h"
#include "table/spare.h"

/* One server, as the setting `hosts` names it. */
struct sql_host {
        char *spec; /* "unix:/path", "inet:host:port", "host:port", a URI; for sqlite the file */
        const char *shown; /* for errors: a URI may have a password */
        char *socket;      /* of unix: */
        char *name;        /* of inet: */
        int port;          /* 0: the usual one */
        bool is_uri;
        int64_t down_until_ms;
        struct spares spares;
};

/* One column of one row. False: stop, that is enough. */
typedef bool sql_value(void *context, struct str value);

enum sql_status {
        SQL_OK,
        SQL_REFUSED, /* the server does not like the question */
        SQL_LOST,    /* the connection is of no use any more */
};

struct sql_driver {
        const struct table_type *type;
        const char *hosts; /* the default */
        /* Reads what is the driver's own. 0 or a negative errno with the fault. May be NULL. */
        int (*open)(const struct table_settings *s, void **options);
        void (*free_options)(void *options);
        /* NULL with *why. */
        void *(*connect)(const void *options, const struct sql_host *host, const char *user,
                         const char *password, const char *database, int64_t deadline_ms,
                         struct why *why);
        void (*close)(void *connection);
        query_template_quote *quote; /* its context is the connection */
        enum sql_status (*query)(void *connection, const char *query, int64_t deadline_ms,
                                 sql_value *each, void *context, struct why *why);
};

/* For table_type.open: reads the settings of the table and makes its contents. */
int sql_open(const struct sql_driver *driver, struct table_text *text, void **contents);

#endif
