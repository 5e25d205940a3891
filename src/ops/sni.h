/*
 * sni.h - tls_server_sni_maps: certificates by the name that a client asks for (postconf(5))
 *
 * "name files...", where the files are as in smtpd_tls_chain_files: in a text (hash:, texthash:, inline:) as they are, in an
 * indexed file made by Postfix's `postmap -F` their contents instead, in base64. A table must be able to list its
 * keys: the certificates are loaded with the configuration, not in a handshake.
 */
#ifndef OPS_SNI_H
#define OPS_SNI_H

#include "config/config.h"

/* `contents` empty: files, a list; else what stood in them. Views are valid during the call. */
typedef void sni_visit(void *context, struct str name, struct str files, struct str contents);

/* What is wrong with the tables goes to *findings, which may be NULL. */
void sni_each(const struct config *c, const struct params *p, sni_visit *visit, void *context,
              struct findings *findings);

#endif
