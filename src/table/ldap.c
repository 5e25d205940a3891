/*
 * ldap.c - ldap: (ldap_table(5)) by libldap
 *
 * A question is a search. Of each entry that is found: when it has a terminal attribute, the values of
 * that alone; else the values of the result attributes, the values of leaf attributes unless there
 * are special ones, and what the special attributes' DNs and URLs lead to, searched on the same
 * server.
 *
 * Postfix's default is LDAP version 2, which servers have refused for many years; here it is 3.
 */
#include "base/check.h"
#include "base/clock.h"
#include "table/domains.h"
#include "table/query_template.h"
#include "table/server.h"
#include "table/settings.h"
#include "table/spare.h"

#include <errno.h>
#include <ldap.h>

enum {
        ATTRIBUTES_MAX = 64,
        QUERY_BYTES_MAX = 65536,
        IDLE_MS = 60000,
        SEARCHES_MAX = 20000, /* of one question: a directory that leads in circles ends */
};

enum attribute_kind { ATTRIBUTE_RESULT, ATTRIBUTE_LEAF, ATTRIBUTE_SPECIAL, ATTRIBUTE_TERMINAL };
enum bind_kind { BIND_NONE, BIND_SIMPLE, BIND_EXTERNAL };

struct ldap_table {
        char *uris;
        char *bind_dn;
        char *bind_pw;
        enum bind_kind bind;
        int version;
        int scope;
        int dereference;
        bool chases_referrals;
        bool starts_tls;
        bool requires_cert;
        char *ca_dir, *ca_file, *cert, *key, *ciphers;
        int64_t timeout_ms;
        int64_t recursion_limit;
        int64_t expansion_limit;
        int64_t size_limit;
        char *base_text, *filter_text, *result_text;
        struct query_template base;
        struct query_template filter;
        struct query_template result;
        char *attributes[ATTRIBUTES_MAX + 1]; /* NULL ends them */
        enum attribute_kind kinds[ATTRIBUTES_MAX];
        size_t attribute_count;
        struct match_list *domains; /* or NULL */
        struct spares spares;
};

/* ---- a connection ---- */
static void close_connection(void *connection)
{
        ldap_unbind_ext_s(connection, NULL, NULL);
}

static struct timeval time_left(const struct ldap_table *t, int64_t deadline_ms)
{
        int64_t left = deadline_ms - clock_mono_ms();
        if (left > t->timeout_ms)
                left = t->timeout_ms;
        if (left < 10)
                left = 10;
        return (struct timeval){.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};
}

static bool has_tls(const struct ldap_table *t)
{
        return t->starts_tls || strstr(t->uris, "ldaps://");
}

static int set_tls(const struct ldap_table *t, LDAP *ld)
{
        const int demand = t->requires_cert ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
        const int is_server = 0;
        const struct {
                int option;
                const char *value;
        } files[] = {
                {LDAP_OPT_X_TLS_CACERTDIR, t->ca_dir},     {LDAP_OPT_X_TLS_CACERTFILE, t->ca_file},
                {LDAP_OPT_X_TLS_CERTFILE, t->cert},        {LDAP_OPT_X_TLS_KEYFILE, t->key},
                {LDAP_OPT_X_TLS_CIPHER_SUITE, t->ciphers},
        };
        int rc = ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand);
        for (size_t i = 0; rc == 0 && i < sizeof(files) / sizeof(*files); i++)
                if (files[i].value)
                        rc = ldap_set_option(ld, files[i].option, files[i].value);
        return rc ? rc : ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &is_server);
}

static int set_options(const struct ldap_table *t, LDAP *ld, int64_t deadline_ms)
{
        const struct timeval time = time_left(t, deadline_ms);
        const int size = (int)t->size_limit;
        int rc = ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &t->version);
        if (rc == 0)
                rc = ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &time);
        if (rc == 0)
                rc = ldap_set_option(ld, LDAP_OPT_TIMEOUT, &time);
        if (rc == 0)
                rc = ldap_set_option(ld, LDAP_OPT_SIZELIMIT, &size);
        if (rc == 0)
                rc = ldap_set_option(ld, LDAP_OPT_DEREF, &t->dereference);
        if (rc == 0)
                rc = ldap_set_option(ld, LDAP_OPT_REFERRALS,
                                     t->chases_referrals ? LDAP_OPT_ON : LDAP_OPT_OFF);
        return rc == 0 && has_tls(t) ? set_tls(t, ld) : rc;
}

/*
 * Why there is no connection. libldap made with GnuTLS has no words for a certificate that nobody vouches for, so what
 * was to be done is told beside its own.
 */
static void say(const struct ldap_table *t, LDAP *ld, int rc, struct why *why)
{
        char *more = NULL;
        bool is_tls = rc == LDAP_CONNECT_ERROR && has_tls(t);
        if (ld)
                ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &more);
        bool has_more = more && *more;
        why_set(why, -EIO, "%.100s: %s%s%s%.200s%s", t->uris, ldap_err2string(rc),
                is_tls ? ": no TLS, or no certificate that tls_ca_cert_file or tls_ca_cert_dir vouches for"
                       : "",
                has_more ? " (" : "", has_more ? more : "", has_more ? ")" : "");
        ldap_memfree(more);
}

static int greet(const struct ldap_table *t, LDAP *ld)
{
        int rc = t->starts_tls ? ldap_start_tls_s(ld, NULL, NULL) : 0;
        if (rc || t->bind == BIND_NONE)
                return rc;
        struct berval secret = {.bv_val = t->bind_pw ? t->bind_pw : (char[]){""},
                                .bv_len = t->bind_pw ? strlen(t->bind_pw) : 0};
        return ldap_sasl_bind_s(ld, t->bind == BIND_EXTERNAL ? "" : t->bind_dn,
                                t->bind == BIND_EXTERNAL ? "EXTERNAL" : LDAP_SASL_SIMPLE, &secret,
                                NULL, NULL, NULL);
}

/* NULL with *why. */
static LDAP *connect_server(const struct ldap_table *t, int64_t deadline_ms, struct why *why)
{
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        LDAP *ld = NULL;
        pthread_mutex_lock(&lock); /* the library prepares itself at the first call */
        int rc = ldap_initialize(&ld, t->uris);
        pthread_mutex_unlock(&lock);
        if (rc == 0)
                rc = set_options(t, ld, deadline_ms);
        if (rc == 0)
                rc = greet(t, ld);
        if (rc == 0)
                return ld;
        say(t, ld, rc, why);
        if (ld)
                close_connection(ld);
        return NULL;
}

/* ---- what is put into a search ---- */

/* RFC 4515: the assertion value of a filter. */
static int quote_filter(void *context, struct str part, struct buf *out)
{
        for (size_t i = 0; i < part.len; i++) {
                unsigned char c = (unsigned char)part.ptr[i];
                int rc = c == '*' || c == '(' || c == ')' || c == '\\' || c < 0x20
                                 ? buf_printf(out, "\\%02x", c)
                                 : buf_append_char(out, (char)c);
                if (rc)
                        return rc;
        }
        return 0;
}

/* RFC 4514: the value of an attribute in a DN. */
static int quote_dn(void *context, struct str part, struct buf *out)
{
        for (size_t i = 0; i < part.len; i++) {
                char c = part.ptr[i];
                bool is_edge = i == 0 || i + 1 == part.len;
                bool is_special =
                        strchr(",+\"\\<>;=", c) || (i == 0 && c == '#') || (is_edge && c == ' ');
                int rc = is_special ? buf_append_char(out, '\\') : 0;
                if (rc == 0)
                        rc = (unsigned char)c < 0x20 ? buf_printf(out, "\\%02x", (unsigned char)c)
                                                     : buf_append_char(out, c);
                if (rc)
                        return rc;
        }
        return 0;
}

/* ---- one question ---- */
struct asking {
        const struct ldap_table *table;
        LDAP *ld;
        struct str key;
        int64_t deadline_ms;
        struct server_reply *reply;
        int64_t values;
        int searches;
        int depth;
        int error;       /* of the library */
        const char *why; /* an end that is no error of the library */
};

static void take_value(struct asking *a, const struct berval *value)
{
        const struct ldap_table *t = a->table;
        struct buf *out = &a->reply->value;
        size_t before = out->len;
        if (value->bv_len == 0 || memchr(value->bv_val, '\0', value->bv_len))
                return;
        int error = before ? buf_append_char(out, ',') : 0;
        if (!error)
                error = query_template_expand(&t->result, a->key,
                                              str_make(value->bv_val, value->bv_len), NULL, NULL,
                                              out);
        if (error) {
                out->len = before;
                if (error != -ENOENT)
                        a->why = "the result is too long";
        } else if (t->expansion_limit && ++a->values > t->expansion_limit) {
                a->why = "more results than expansion_limit allows";
        }
}

static bool is_over(const struct asking *a)
{
        return a->why || a->error;
}

static void search(struct asking *a, const char *base, int scope, const char *filter);

/* The DN or URL of a special attribute. */
static void follow(struct asking *a, const struct berval *value)
{
        LDAPURLDesc *url;
        if (value->bv_len == 0 || memchr(value->bv_val, '\0', value->bv_len))
                return;
        if (a->depth >= a->table->recursion_limit) {
                a->why = "special_result_attribute leads deeper than recursion_limit";
                return;
        }
        a->depth++;
        if (!ldap_is_ldap_url(value->bv_val)) {
                search(a, value->bv_val, LDAP_SCOPE_BASE, "(objectClass=*)");
        } else if (ldap_url_parse(value->bv_val, &url) == 0) {
                search(a, url->lud_dn ? url->lud_dn : "",
                       url->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : url->lud_scope,
                       url->lud_filter ? url->lud_filter : "(objectClass=*)");
                ldap_free_urldesc(url);
        }
        a->depth--;
}

/* Values of all attributes of one kind; `use` NULL: are there any? */
static bool each_value(struct asking *a, LDAPMessage *entry, enum attribute_kind kind,
                       void (*use)(struct asking *, const struct berval *))
{
        bool has_some = false;
        for (size_t i = 0; i < a->table->attribute_count && !is_over(a); i++) {
                if (a->table->kinds[i] != kind)
                        continue;
                struct berval **values = ldap_get_values_len(a->ld, entry, a->table->attributes[i]);
                for (size_t v = 0; values && values[v] && !is_over(a); v++) {
                        has_some = true;
                        if (use)
                                use(a, values[v]);
                }
                ldap_value_free_len(values);
        }
        return has_some;
}

static void take_entry(struct asking *a, LDAPMessage *entry)
{
        if (each_value(a, entry, ATTRIBUTE_TERMINAL, take_value))
                return;
        each_value(a, entry, ATTRIBUTE_RESULT, take_value);
        if (!each_value(a, entry, ATTRIBUTE_SPECIAL, NULL))
                each_value(a, entry, ATTRIBUTE_LEAF, take_value);
        each_value(a, entry, ATTRIBUTE_SPECIAL, follow);
}

static void search(struct asking *a, const char *base, int scope, const char *filter)
{
        LDAPMessage *found = NULL;
        struct timeval time = time_left(a->table, a->deadline_ms);
        char *const *attributes = a->table->attributes;
        if (clock_mono_ms() >= a->deadline_ms) {
                a->error = LDAP_TIMEOUT;
                return;
        }
        if (++a->searches > SEARCHES_MAX) {
                a->why = "special_result_attribute leads to too many entries";
                return;
        }
        int rc = ldap_search_ext_s(a->ld, base, scope, filter, (char **)(uintptr_t)attributes, 0,
                                   NULL, NULL, &time, LDAP_NO_LIMIT, &found);
        if (rc == LDAP_SIZELIMIT_EXCEEDED)
                a->why = "more entries than size_limit allows";
        else if (rc != LDAP_SUCCESS && rc != LDAP_NO_SUCH_OBJECT && rc != LDAP_PARTIAL_RESULTS &&
                 rc != LDAP_REFERRAL)
                a->error = rc;
        for (LDAPMessage *e = found ? ldap_first_entry(a->ld, found) : NULL; e && !is_over(a);
             e = ldap_next_entry(a->ld, e))
                take_entry(a, e);
        ldap_msgfree(found);
}

/* May another connection, or another time, help? */
static bool is_lost(int error)
{
        switch (error) {
        case LDAP_SERVER_DOWN:
        case LDAP_CONNECT_ERROR:
        case LDAP_TIMEOUT:
        case LDAP_UNAVAILABLE:
        case LDAP_BUSY:
        case LDAP_OTHER:
        case LDAP_DECODING_ERROR:
        case LDAP_LOCAL_ERROR:
                return true;
        default:
                return false;
        }
}

static int ask_connection(const struct ldap_table *t, LDAP *ld, struct str key, int64_t deadline_ms,
                          struct server_reply *reply)
{
        struct asking a = {
                .table = t, .ld = ld, .key = key, .deadline_ms = deadline_ms, .reply = reply};
        struct buf base;
        struct buf filter;
        buf_init(&base, QUERY_BYTES_MAX);
        buf_init(&filter, QUERY_BYTES_MAX);
        buf_clear(&reply->value);
        int rc = query_template_expand(&t->base, key, STR(""), quote_dn, NULL, &base);
        if (rc == 0)
                rc = query_template_expand(&t->filter, key, STR(""), quote_filter, NULL, &filter);
        if (rc == 0)
                rc = buf_append_char(&base, '\0') || buf_append_char(&filter, '\0');
        if (rc)
                a.why = "the query cannot be written";
        else
                search(&a, base.ptr, t->scope, filter.ptr);
        buf_done(&base);
        buf_done(&filter);
        reply->outcome = SERVER_ANSWERED;
        reply->is_found = reply->value.len > 0;
        if (is_over(&a)) {
                reply->outcome = is_lost(a.error) ? SERVER_FAILED : SERVER_REFUSED;
                reply->is_found = false;
                why_set(&reply->why, 0, "%s", a.why ? a.why : ldap_err2string(a.error));
        }
        return a.error;
}

static void ldap_ask(void *backend, struct str key, int64_t deadline_ms, struct server_reply *reply)
{
        struct ldap_table *t = backend;
        LDAP *ld;
        int error = LDAP_SERVER_DOWN;
        while (is_lost(error) && clock_mono_ms() < deadline_ms && (ld = spares_take(&t->spares))) {
                error = ask_connection(t, ld, key, deadline_ms, reply);
                if (is_lost(error))
                        close_connection(ld);
                else
                        spares_put(&t->spares, ld);
        }
        if (!is_lost(error) || clock_mono_ms() >= deadline_ms)
                return;
        ld = connect_server(t, deadline_ms, &reply->why);
        if (!ld) {
                reply->outcome = SERVER_DOWN;
                return;
        }
        error = ask_connection(t, ld, key, deadline_ms, reply);
        if (is_lost(error))
                close_connection(ld);
        else
                spares_put(&t->spares, ld);
}

static bool await_ldap_wants(const void *backend, struct str key)
{
        const struct ldap_table *t = backend;
        return query_template_fits(&t->base, key) && query_template_fits(&t->filter, key) &&
               query_template_fits(&t->result, key) && await_domains_want(t->domains, key);
}

static void ldap_tend(void *backend)
{
        struct ldap_table *t = backend;
        spares_close(&t->spares, clock_mono_ms() - IDLE_MS);
}

/* ---- settings ---- */
static void ldap_table_free(void *backend)
{
        struct ldap_table *t = backend;
        spares_done(&t->spares);
        if (t->bind_pw)
                explicit_bzero(t->bind_pw, strlen(t->bind_pw));
        char *const all[] = {t->uris,      t->bind_dn,     t->bind_pw,    t->ca_dir,
                             t->ca_file,   t->cert,        t->key,        t->ciphers,
                             t->base_text, t->filter_text, t->result_text};
        for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
                free(all[i]);
        for (size_t i = 0; i < t->attribute_count; i++)
                free(t->attributes[i]);
        free(t);
}

static char *copy_of(const struct table_settings *s, const char *name, const char *initial)
{
        struct str value = table_settings_get(s, name, initial);
        return value.len ? strndup(value.ptr, value.len) : NULL;
}

/* Hosts become URIs: "a b:390 ldapi://%2fx" */
static int read_hosts(struct ldap_table *t, const struct table_settings *s)
{
        int64_t port;
        int error = table_settings_number(s, "server_port", 389, 1, 65535, &port);
        if (error)
                return error;
        struct buf out;
        struct str rest = table_settings_get(s, "server_host", "localhost");
        struct str item;
        buf_init(&out, QUERY_BYTES_MAX);
        while (item_next(&rest, &item)) {
                const char *blank = out.len ? " " : "";
                if (str_find_str(item, STR("://")) >= 0)
                        buf_printf(&out, "%s%.*s", blank, STR_ARG(item));
                else if (str_find(item, ':') >= 0)
                        buf_printf(&out, "%sldap://%.*s", blank, STR_ARG(item));
                else
                        buf_printf(&out, "%sldap://%.*s:%d", blank, STR_ARG(item), (int)port);
        }
        buf_append_char(&out, '\0');
        t->uris = out.ptr; /* ours now */
        LDAPURLDesc *url = NULL;
        struct str uris = str_from(t->uris);
        while (item_next(&uris, &item)) {
                char *one = strndup(item.ptr, item.len);
                bool is_good = ldap_url_parse(one, &url) == 0;
                free(one);
                if (!is_good)
                        return table_settings_fault(s, "server_host",
                                                    "write host, host:port or ldap://host:port",
                                                    "\"%.*s\" is no server of LDAP",
                                                    (int)(item.len > 80 ? 80 : item.len), item.ptr);
                ldap_free_urldesc(url);
        }
        return 0;
}

static int read_bind(struct ldap_table *t, const struct table_settings *s)
{
        static const char *const words[] = {"no", "none", "yes", "simple", "sasl", NULL};
        static const enum bind_kind kinds[] = {BIND_NONE, BIND_NONE, BIND_SIMPLE, BIND_SIMPLE,
                                               BIND_EXTERNAL};
        int word;
        int error = table_settings_word(s, "bind", words, 2, &word);
        if (error)
                return error;
        t->bind = kinds[word];
        if (t->bind == BIND_EXTERNAL &&
            !str_eq_nocase(table_settings_get(s, "sasl_mechs", ""), STR("EXTERNAL")))
                return table_settings_fault(
                        s, "bind", "write sasl_mechs = EXTERNAL, or bind = simple",
                        "of SASL only EXTERNAL (the user of a unix socket, or a "
                        "client certificate) is here");
        t->bind_dn = copy_of(s, "bind_dn", "");
        t->bind_pw = copy_of(s, "bind_pw", "");
        if (t->bind_pw)
                table_settings_check_secret(s);
        return 0;
}

static int read_tls(struct ldap_table *t, const struct table_settings *s)
{
        int error = table_settings_bool(s, "start_tls", false, &t->starts_tls);
        if (!error)
                error = table_settings_bool(s, "tls_require_cert", false, &t->requires_cert);
        t->ca_dir = copy_of(s, "tls_ca_cert_dir", "");
        t->ca_file = copy_of(s, "tls_ca_cert_file", "");
        t->cert = copy_of(s, "tls_cert", "");
        t->key = copy_of(s, "tls_key", "");
        t->ciphers = copy_of(s, "tls_cipher_suite", "");
        return error;
}

static int read_limits(struct ldap_table *t, const struct table_settings *s)
{
        static const char *const scopes[] = {"sub", "base", "one", NULL};
        static const int scope_values[] = {LDAP_SCOPE_SUBTREE, LDAP_SCOPE_BASE,
                                           LDAP_SCOPE_ONELEVEL};
        int64_t timeout, version, dereference;
        int scope;
        int error = table_settings_number(s, "timeout", 10, 1, 3600, &timeout);
        if (!error)
                error = table_settings_number(s, "version", 3, 2, 3, &version);
        if (!error)
                error = table_settings_number(s, "dereference", 0, 0, 3, &dereference);
        if (!error)
                error = table_settings_number(s, "recursion_limit", 1000, 1, 1000,
                                              &t->recursion_limit);
        if (!error)
                error = table_settings_number(s, "expansion_limit", 0, 0, INT32_MAX,
                                              &t->expansion_limit);
        if (!error)
                error = table_settings_number(s, "size_limit", t->expansion_limit, 0, INT32_MAX,
                                              &t->size_limit);
        if (!error)
                error = table_settings_bool(s, "chase_referrals", false, &t->chases_referrals);
        if (!error)
                error = table_settings_word(s, "scope", scopes, 0, &scope);
        if (error)
                return error;
        t->timeout_ms = timeout * 1000;
        t->version = (int)version;
        t->dereference = (int)dereference;
        t->scope = scope_values[scope];
        return 0;
}

static int read_template(const struct table_settings *s, const char *name, const char *initial,
                         bool is_result, char **text, struct query_template *template)
{
        struct why why;
        *text = copy_of(s, name, initial);
        if (!*text)
                return table_settings_fault(s, name, "write it", "it is missing");
        if (query_template_parse(template, str_from(*text), is_result, &why) < 0)
                return table_settings_fault(s, name, NULL, "%s", why.text);
        return 0;
}

static int read_templates(struct ldap_table *t, const struct table_settings *s)
{
        /* result_filter is the old name */
        const char *format =
                table_settings_has(s, "result_format") ? "result_format" : "result_filter";
        int error = read_template(s, "search_base", "", false, &t->base_text, &t->base);
        if (!error)
                error = read_template(s, "query_filter", "(mailacceptinggeneralid=%s)", false,
                                      &t->filter_text, &t->filter);
        if (!error)
                error = read_template(s, format, "%s", true, &t->result_text, &t->result);
        return error;
}

static int read_attributes(struct ldap_table *t, const struct table_settings *s, const char *name,
                           const char *initial, enum attribute_kind kind)
{
        /* "result_attribute =" is none at all */
        struct str rest =
                table_settings_get(s, name, table_settings_is_given(s, name) ? "" : initial);
        struct str item;
        while (item_next(&rest, &item)) {
                if (t->attribute_count == ATTRIBUTES_MAX)
                        return table_settings_fault(s, name, NULL, "more than %d attributes",
                                                    ATTRIBUTES_MAX);
                t->kinds[t->attribute_count] = kind;
                t->attributes[t->attribute_count++] = strndup(item.ptr, item.len);
        }
        return 0;
}

static int read_all(struct ldap_table *t, const struct table_settings *s)
{
        int error = read_hosts(t, s);
        if (!error)
                error = read_templates(t, s);
        if (!error)
                error = read_limits(t, s);
        if (!error)
                error = read_attributes(t, s, "result_attribute", "maildrop", ATTRIBUTE_RESULT);
        if (!error)
                error = read_attributes(t, s, "leaf_result_attribute", "", ATTRIBUTE_LEAF);
        if (!error)
                error = read_attributes(t, s, "special_result_attribute", "", ATTRIBUTE_SPECIAL);
        if (!error)
                error = read_attributes(t, s, "terminal_result_attribute", "", ATTRIBUTE_TERMINAL);
        if (!error)
                error = read_bind(t, s);
        if (!error)
                error = read_tls(t, s);
        return error ? error : domains_open(s, &t->domains);
}

static int ldap_open_table(struct table_text *text, void **contents)
{
        static const struct server_kind kind = {
                .is_blocking = true,
                .await_wants = await_ldap_wants,
                .ask = ldap_ask,
                .tend = ldap_tend,
                .free = ldap_table_free,
        };
        struct table_settings settings;
        struct ldap_table *t = calloc(1, sizeof(*t));
        check(t);
        spares_init(&t->spares, close_connection);
        int error = table_settings_read(&settings, text);
        if (!error)
                error = read_all(t, &settings);
        if (error)
                ldap_table_free(t);
        else
                *contents = server_new(text, &kind, t, buf_str(&settings.definition));
        table_settings_done(&settings);
        return error;
}

const struct table_type table_type_ldap = {
        .name = "ldap",
        .source = SOURCE_SETTINGS,
        .folds_key = true,
        .bytes_max = SETTINGS_BYTES_MAX,
        .open = ldap_open_table,
        .find = await_server_find,
        .free = server_free,
        .tend = server_tend,
        .figures = server_figures,
};
