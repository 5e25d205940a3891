/* type.c - the names of table types: those that are here, those that are not and why, near misses */
#include "table/table_private.h"

#include <errno.h>

/* clang-format off */
static const struct table_type *const types[] = {
        &table_type_hash, &table_type_btree, &table_type_texthash, &table_type_inline,
        &table_type_static, &table_type_cidr, &table_type_regexp, &table_type_pcre,
        &table_type_pcre_utf8,
        &table_type_unionmap, &table_type_pipemap, &table_type_randmap, &table_type_environ,
        &table_type_fail, &table_type_socketmap, &table_type_tcp, &table_type_unix,
#ifdef TABLE_HAS_CDB
        &table_type_cdb,
#endif
#ifdef TABLE_HAS_LMDB
        &table_type_lmdb,
#endif
#ifdef TABLE_HAS_PGSQL
        &table_type_pgsql,
#endif
#ifdef TABLE_HAS_MYSQL
        &table_type_mysql,
#endif
#ifdef TABLE_HAS_SQLITE
        &table_type_sqlite,
#endif
#ifdef TABLE_HAS_LDAP
        &table_type_ldap,
#endif
};
/* clang-format on */

#define TEXT_CURE "use hash: with the text that the file was made from"
#define FILE_CURE "write the entries to a file and use hash:; it is read again by itself"

/* Types of Postfix that are not here: why, and what to use instead. */
static const struct {
        const char *name;
        const char *why;
        const char *cure;
} absent_types[] = {
        {"cdb", "this program was built without libcdb", TEXT_CURE},
        {"lmdb", "this program was built without liblmdb", TEXT_CURE},
        {"dbm", "the format has no owner any more; hash: and cdb: do what it did", TEXT_CURE},
        {"sdbm", "the format has no owner any more; hash: and cdb: do what it did", TEXT_CURE},
        {"ldap", "this program was built without libldap", FILE_CURE},
        {"mysql", "this program was built without libmariadb", FILE_CURE},
        {"pgsql", "this program was built without libpq", FILE_CURE},
        {"sqlite", "this program was built without libsqlite3", FILE_CURE},
        {"mongodb", "there is no client library for it in Debian", FILE_CURE},
        {"redis", "it is for state that relays share, not for tables", FILE_CURE},
        {"memcache", "answers of servers are cached here anyway (table_cache_ttl)",
         "name the table that stands behind it"},
        {"nis", "NIS sends its maps unprotected over the network",
         "ypcat MAP into a file and use hash:; it is read again by itself"},
        {"nisplus", "NIS+ has not been supported by any system for years", FILE_CURE},
        {"netinfo", "NetInfo has not been supported by any system for years", FILE_CURE},
        {"internal", "it is a scratch table inside of one Postfix process", "take it out"},
        {"debug", "forepost map query tells what a table says", "take \"debug:\" away"},
};

enum { NAME_BYTES_MAX = 31 };

static int min3(int a, int b, int c)
{
        int m = a < b ? a : b;
        return m < c ? m : c;
}

/* How many letters must be put in, taken out or changed. */
static int distance(struct str a, struct str b)
{
        int row[NAME_BYTES_MAX + 1];
        for (size_t j = 0; j <= b.len; j++)
                row[j] = (int)j;
        for (size_t i = 1; i <= a.len; i++) {
                int corner = row[0];
                row[0] = (int)i;
                for (size_t j = 1; j <= b.len; j++) {
                        int above = row[j];
                        bool is_same = char_lower(a.ptr[i - 1]) == char_lower(b.ptr[j - 1]);
                        row[j] = min3(above + 1, row[j - 1] + 1, corner + !is_same);
                        corner = above;
                }
        }
        return row[b.len];
}

static const char *nearest_type(struct str name)
{
        const char *nearest = NULL;
        int best = 3; /* further away it is no slip of the finger */
        if (name.len > NAME_BYTES_MAX)
                return NULL;
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                struct str known = str_from(types[i]->name);
                int d = distance(name, known);
                if (d < best && (size_t)d < known.len) {
                        best = d;
                        nearest = types[i]->name;
                }
        }
        return nearest;
}

static int unknown_type(struct str type, struct table_fault *fault)
{
        int shown = (int)(type.len > 60 ? 60 : type.len);
        for (size_t i = 0; i < sizeof(absent_types) / sizeof(absent_types[0]); i++)
                if (str_eq(type, str_from(absent_types[i].name)))
                        return fault_set(fault, -ENOTSUP, "table-type-absent", absent_types[i].cure,
                                         "tables of type %s: are not here, because %s",
                                         absent_types[i].name, absent_types[i].why);
        const char *nearest = nearest_type(type);
        char cure[300];
        int used = snprintf(cure, sizeof(cure), nearest ? "did you mean %s:?" : "known are%s",
                            nearest ? nearest : "");
        for (size_t i = 0; !nearest && i < sizeof(types) / sizeof(types[0]); i++)
                used += snprintf(cure + used, sizeof(cure) - (size_t)used, " %s", types[i]->name);
        return fault_set(fault, -EINVAL, "table-type-unknown", cure, "\"%.*s\" is no type of table",
                         shown, type.ptr);
}

const struct table_type *table_type_find(struct str spec, struct str *name,
                                         struct table_fault *fault)
{
        spec = str_trim(spec);
        /* proxy: lets Postfix's processes share a table; here all threads share every table. */
        while (str_starts(spec, STR("proxy:")))
                spec = str_tail(spec, strlen("proxy:"));
        ptrdiff_t colon = str_find(spec, ':');
        if (colon <= 0) {
                fault_set(fault, -EINVAL, "table-syntax", "write type:name, as hash:/etc/table",
                          "\"%.*s\" names no table", (int)(spec.len > 100 ? 100 : spec.len),
                          spec.ptr);
                return NULL;
        }
        struct str type = str_part(spec, 0, (size_t)colon);
        *name = str_tail(spec, (size_t)colon + 1);
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
                if (str_eq(type, str_from(types[i]->name)))
                        return types[i];
        unknown_type(type, fault);
        return NULL;
}

const char *table_type_name(size_t i)
{
        return i < sizeof(types) / sizeof(types[0]) ? types[i]->name : NULL;
}
