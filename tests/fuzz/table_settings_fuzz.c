/*
 * table_settings_fuzz.c - the file of settings of a table on a server, and a key
 *
 * The first byte chooses the type; the text up to a form feed are the settings, the rest is a key. Whatever
 * stands there, a table is made or the fault names a line that exists; a query that is made has no more
 * parts in it than its template and key give, and nothing is ever asked.
 */
#include "fuzz.h"

#include "table/query_template.h"
#include "table/settings.h"

static const struct table_type *const types[] = {
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
        &table_type_socketmap, &table_type_tcp,
};
enum { TYPES = sizeof(types) / sizeof(*types) };

static void try_template(struct str text, struct str key, bool is_result)
{
        struct query_template t;
        struct why why;
        struct buf out;
        if (query_template_parse(&t, text, is_result, &why) < 0)
                return;
        buf_init(&out, 65536);
        int rc = query_template_expand(&t, key, text, NULL, NULL, &out);
        check(rc == 0 || out.len <= 65536);
        check(is_result || rc != 0 || query_template_fits(&t, key));
        check(out.len <= text.len * (key.len + text.len + 1));
        buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str rest = fuzz_str(data, size);
        const struct table_type *type = types[fuzz_byte(&rest) % TYPES];
        struct str text = str_cut(&rest, '\f');
        if (memchr(text.ptr, '\0', text.len) || text.len > 60000)
                return 0;
        char *bytes = malloc(text.len + 1);
        check(bytes);
        memcpy(bytes, text.ptr, text.len);
        bytes[text.len] = '\0';

        struct table_set *set = table_set_new("/nonexistent");
        struct table_fault fault = {0};
        struct findings findings;
        findings_init(&findings);
        bool is_file = type->source == SOURCE_SETTINGS;
        struct table_text source = {.set = set,
                                    .type = type,
                                    .name = STR("/nonexistent/cf"),
                                    .at = {STR("/nonexistent/cf"), 0},
                                    .is_file = is_file,
                                    .bytes = bytes,
                                    .len = text.len,
                                    .findings = &findings,
                                    .fault = &fault};
        int lines = 1;
        for (size_t i = 0; i < text.len; i++)
                lines += text.ptr[i] == '\n';
        void *contents = NULL;
        if (type->open(&source, &contents) == 0) {
                check(contents);
                type->free(contents);
        } else {
                check(fault.error < 0 && fault.text[0] && fault.line >= 0 && fault.line <= lines);
        }
        free(source.bytes);
        try_template(text, rest, false);
        try_template(text, rest, true);
        findings_done(&findings);
        table_set_free(&set);
        return 0;
}
