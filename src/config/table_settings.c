/*
 * table_settings.c - the settings of tables that ask a server: pgsql_table(5), mysql_table(5), sqlite_table(5),
 * ldap_table(5)
 *
 * They stand in a file of the table's own, as "setting = value", or in main.cf as NAME_setting for a table
 * TYPE:NAME whose name is no path. So main.cf's names and the tables' readers both need the list.
 */
#include "config/config_private.h"

enum { P = 1, M = 2, S = 4, L = 8, SQL = P | M | S, ALL = SQL | L };

static const struct {
        const char *name;
        unsigned types;
} settings[] = {
        {"additional_conditions", SQL},
        {"bind", L},
        {"bind_dn", L},
        {"bind_pw", L},
        {"cache", L},
        {"cache_expiry", L},
        {"cache_size", L},
        {"charset", M},
        {"chase_referrals", L},
        {"dbname", P | M},
        {"dbpath", S},
        {"debuglevel", L},
        {"dereference", L},
        {"domain", ALL},
        {"encoding", P},
        {"expansion_limit", ALL},
        {"hosts", P | M},
        {"idle_interval", P | M},
        {"leaf_result_attribute", L},
        {"option_file", M},
        {"option_group", M},
        {"password", P | M},
        {"query", SQL},
        {"query_filter", L},
        {"recursion_limit", L},
        {"require_result_set", M},
        {"result_attribute", L},
        {"result_filter", L},
        {"result_format", ALL},
        {"retry_interval", P | M},
        {"sasl_authz_id", L},
        {"sasl_mechs", L},
        {"sasl_minssf", L},
        {"sasl_realm", L},
        {"scope", L},
        {"search_base", L},
        {"select_field", SQL},
        {"select_function", P},
        {"server_host", L},
        {"server_port", L},
        {"size_limit", L},
        {"special_result_attribute", L},
        {"start_tls", L},
        {"table", SQL},
        {"terminal_result_attribute", L},
        {"timeout", L},
        {"tls_CAfile", M},
        {"tls_CApath", M},
        {"tls_ca_cert_dir", L},
        {"tls_ca_cert_file", L},
        {"tls_cert", L},
        {"tls_cert_file", M},
        {"tls_cipher_suite", L},
        {"tls_ciphers", M},
        {"tls_key", L},
        {"tls_key_file", M},
        {"tls_random_file", L},
        {"tls_require_cert", L},
        {"tls_verify_cert", M},
        {"user", P | M},
        {"version", L},
        {"where_field", SQL},
};

static unsigned type_bit(struct str type)
{
        return str_eq(type, STR("pgsql"))    ? P
               : str_eq(type, STR("mysql"))  ? M
               : str_eq(type, STR("sqlite")) ? S
               : str_eq(type, STR("ldap"))   ? L
                                             : 0;
}

const char *config_table_setting(struct str type, size_t i)
{
        unsigned bit = type_bit(type);
        for (size_t at = 0; at < sizeof(settings) / sizeof(*settings); at++)
                if ((settings[at].types & bit) && i-- == 0)
                        return settings[at].name;
        return NULL;
}

bool config_is_table_setting(struct str type, struct str name)
{
        const char *known;
        for (size_t i = 0; (known = config_table_setting(type, i)); i++)
                if (str_eq(name, str_from(known)))
                        return true;
        return false;
}

/* Takes the next "type:name" whose settings are parameters off the front of a value. */
bool table_settings_next(struct str *rest, struct str *type, struct str *name)
{
        ptrdiff_t colon;
        while ((colon = str_find(*rest, ':')) >= 0) {
                size_t start = (size_t)colon;
                while (start && char_is_alnum(rest->ptr[start - 1]))
                        start--;
                *type = str_part(*rest, start, (size_t)colon - start);
                *rest = str_tail(*rest, (size_t)colon + 1);
                if (!type_bit(*type))
                        continue;
                size_t end = 0;
                while (end < rest->len && !strchr(" \t\r\n,{}:=", rest->ptr[end]))
                        end++;
                *name = str_part(*rest, 0, end);
                if (end && name->ptr[0] != '/' && name->ptr[0] != '.' && name->ptr[0] != '$')
                        return true;
        }
        return false;
}
