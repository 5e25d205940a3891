/* postconf_built_in.c - postconf -a, -A, -l, -m and -T: what this program was built with */
#include "bin/postconf.h"
#include "table/table.h"

#include <openssl/crypto.h>
#include <openssl/opensslv.h>

/* Sorted. */
static int list_types(void)
{
        const char *names[64];
        size_t count = 0;
        for (size_t i = 0; table_type_name(i) && count < 64; i++) {
                size_t at = count++;
                for (; at && strcmp(names[at - 1], table_type_name(i)) > 0; at--)
                        names[at] = names[at - 1];
                names[at] = table_type_name(i);
        }
        for (size_t i = 0; i < count; i++)
                puts(names[i]);
        return EXIT_DONE;
}

static int print_about(const char *what)
{
        if (strcmp(what, "compile-version") == 0)
                puts(OPENSSL_VERSION_TEXT);
        else if (strcmp(what, "run-version") == 0)
                puts(OpenSSL_version(OPENSSL_VERSION));
        else if (strcmp(what, "public-key-algorithms") == 0)
                puts("dsa\necdsa\nrsa"); /* those of smtpd_tls_dcert_file, eccert_file and cert_file */
        else {
                name_warning("unknown 'postconf -T' mode: %s", what);
                return EXIT_FAILED;
        }
        return EXIT_DONE;
}

int postconf_built_in(const struct postconf *p)
{
        switch (p->mode) {
        case 'm':
                return list_types();
        case 'T':
                return print_about(p->about);
        case 'A': /* what smtp_sasl_type may say: as with Postfix, whose mechanisms a library has */
                puts("cyrus");
                return EXIT_DONE;
        default: /* clients do not sign in, and no mailbox is locked: there are none */
                return EXIT_DONE;
        }
}
