/*
 * tls_library.c - OpenSSL's own configuration: tls_config_file, tls_config_name (postconf(5) of Postfix 3.9)
 *
 * OpenSSL reads its configuration once, when a process first uses it, and passes over what is wrong in it. A file that was asked
 * for by name has to be there and be good; of the system's own that is not asked, as the library does.
 */
#include "wire/tls.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

enum { NAME_BYTES_MAX = 1024 };

static int set_file(OPENSSL_INIT_SETTINGS *settings, struct str file)
{
        char path[NAME_BYTES_MAX];
        if (file.len >= sizeof(path))
                return -ENAMETOOLONG;
        snprintf(path, sizeof(path), "%.*s", STR_ARG(file));
        OPENSSL_INIT_set_config_file_flags(settings, 0);
        return OPENSSL_INIT_set_config_filename(settings, path) == 1 ? 0 : -ENOMEM;
}

static int set_name(OPENSSL_INIT_SETTINGS *settings, struct str name)
{
        char text[NAME_BYTES_MAX];
        if (name.len >= sizeof(text))
                return -ENAMETOOLONG;
        snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
        return OPENSSL_INIT_set_config_appname(settings, text) == 1 ? 0 : -ENOMEM;
}

int tls_library_begin(struct str config_file, struct str config_name, struct why *why)
{
        if (str_eq(config_file, STR("none"))) {
                OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
                return 0;
        }
        OPENSSL_INIT_SETTINGS *settings = OPENSSL_INIT_new();
        int rc = settings ? 0 : -ENOMEM;
        if (rc == 0 && !str_eq(config_file, STR("default")))
                rc = set_file(settings, config_file);
        if (rc == 0 && config_name.len)
                rc = set_name(settings, config_name);
        if (rc == 0 && OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, settings) != 1)
                rc = -EINVAL;
        OPENSSL_INIT_free(settings);
        if (rc == 0)
                return 0;
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        why_set(why, rc, "OpenSSL's configuration %.*s cannot be used: %s", STR_ARG(config_file),
                rc != -EINVAL ? why_errno(rc)
                : reason      ? reason
                              : "it is not there, or wrong");
        ERR_clear_error();
        return rc;
}
