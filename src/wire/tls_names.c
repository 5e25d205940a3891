/*
 * tls_names.c - certificates by the name that a client asks for (SNI, RFC 6066 3)
 *
 * The names are read once, at load. A name that is not here, and a client that gives none, get the context's own
 * certificate: what it then thinks of it is the client's affair.
 */
#include "base/check.h"
#include "base/map.h"
#include "wire/tls_private.h"

#include <errno.h>

enum { NAMES_MAX = 100 * 1000, NAME_BYTES_MAX = 253 };

struct tls_names {
        struct map map; /* lower-case name -> SSL_CTX */
};

static struct str lower(struct str name, char out[NAME_BYTES_MAX])
{
        for (size_t i = 0; i < name.len; i++)
                out[i] = (char)char_lower(name.ptr[i]);
        return str_make(out, name.len);
}

int tls_names_add(struct tls_names **namesp, struct str name, SSL_CTX *ssl)
{
        char low[NAME_BYTES_MAX];
        struct tls_names *names = *namesp;
        if (name.len == 0 || name.len > NAME_BYTES_MAX || (names && names->map.count >= NAMES_MAX))
                return -EINVAL;
        if (!names) {
                names = *namesp = calloc(1, sizeof(*names));
                check(names);
                map_init(&names->map);
        }
        struct str key = lower(name, low);
        if (map_find(&names->map, key))
                return 0; /* the first counts, as in all tables */
        SSL_CTX_up_ref(ssl);
        map_put(&names->map, key, ssl);
        return 0;
}

/* "mail.example.com", then ".example.com", ".com". */
static SSL_CTX *find(const struct tls_names *names, struct str name)
{
        char low[NAME_BYTES_MAX];
        if (name.len == 0 || name.len > NAME_BYTES_MAX)
                return NULL;
        struct str key = lower(name, low);
        SSL_CTX *found = map_find(&names->map, key);
        for (ptrdiff_t dot = str_find(key, '.'); !found && dot >= 0;) {
                key = str_tail(key, (size_t)dot);
                found = map_find(&names->map, key);
                ptrdiff_t next = str_find(str_tail(key, 1), '.');
                dot = next < 0 ? -1 : next + 1;
        }
        return found;
}

static int choose(SSL *ssl, int *alert, void *context)
{
        const struct tls_names *names = context;
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        SSL_CTX *other = name ? find(names, str_from(name)) : NULL;
        if (!other)
                return SSL_TLSEXT_ERR_NOACK;
        SSL_set_SSL_CTX(ssl, other);
        return SSL_TLSEXT_ERR_OK;
}

void tls_names_serve(SSL_CTX *ssl, const struct tls_names *names)
{
        SSL_CTX_set_tlsext_servername_callback(ssl, choose);
        SSL_CTX_set_tlsext_servername_arg(ssl, (void *)(uintptr_t)names);
}

void tls_names_free(struct tls_names **namesp)
{
        struct tls_names *names = *namesp;
        *namesp = NULL;
        if (!names)
                return;
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&names->map, &i));)
                SSL_CTX_free(slot->value);
        map_done(&names->map);
        free(names);
}
