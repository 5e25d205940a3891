/* sni.c - tls_server_sni_maps: certificates by the name that a client asks for */
#include "ops/sni.h"

#include "base/check.h"
#include "table/table.h"

#include <openssl/evp.h>

enum { CONTENTS_BYTES_MAX = 1024 * 1024 };

struct walk {
        sni_visit *visit;
        void *context;
};

/* What `postmap -F` has put there: the files' contents. NULL: it is a list of files. */
static unsigned char *decode(struct str value, size_t *len)
{
        static const char begin[] = "-----BEGIN";
        if (value.len < 16 || value.len % 4 || value.len > CONTENTS_BYTES_MAX)
                return NULL;
        unsigned char *out = malloc(value.len / 4 * 3 + 1);
        check(out);
        int n = EVP_DecodeBlock(out, (const unsigned char *)value.ptr, (int)value.len);
        if (n < (int)sizeof(begin) || !memmem(out, (size_t)n, begin, sizeof(begin) - 1)) {
                free(out);
                return NULL;
        }
        *len = (size_t)n;
        while (*len && out[*len - 1] == 0) /* padding */
                (*len)--;
        return out;
}

static bool entry(void *context, struct str key, struct str value)
{
        const struct walk *w = context;
        size_t len = 0;
        unsigned char *contents = decode(value, &len);
        if (contents)
                w->visit(w->context, key, STR(""), str_make((const char *)contents, len));
        else
                w->visit(w->context, key, value, STR(""));
        if (contents)
                OPENSSL_cleanse(contents, len);
        free(contents);
        return true;
}

void sni_each(const struct config *c, const struct params *p, sni_visit *visit, void *context,
              struct findings *findings)
{
        struct walk walk = {visit, context};
        struct str list = p->tls_server_sni_maps;
        struct str name;
        if (str_is_empty(list))
                return;
        char *dir = strndup(c->dir.ptr, c->dir.len);
        check(dir);
        struct table_set *tables = table_set_new(dir);
        free(dir);
        while (config_list_next(&list, &name)) {
                struct why why;
                struct place at = config_place(c, "tls_server_sni_maps");
                struct table *t = table_open(tables, name, at, findings, &why);
                if (t && table_each(t, entry, &walk))
                        continue;
                if (findings)
                        findings_add(findings, SEVERITY_ERROR, "bad-sni-map", at,
                                     t ? "use hash:, texthash:, lmdb: or cdb:" : NULL,
                                     "tls_server_sni_maps: %.*s: %s", STR_ARG(name),
                                     t ? "a table of this type cannot list its names" : why.text);
        }
        table_set_free(&tables);
}
