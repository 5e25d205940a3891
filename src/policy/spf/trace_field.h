/* trace_field.h - what SPF said, as header fields: Received-SPF (RFC 7208 9.1), Authentication-Results (RFC 8601) */
#ifndef POLICY_SPF_TRACE_FIELD_H
#define POLICY_SPF_TRACE_FIELD_H

#include "base/buf.h"
#include "policy/spf/spf.h"

struct spf_trace_facts {
        struct str receiver;       /* who asked */
        struct str client_address; /* printed */
        struct str helo;
        struct str sender; /* as in MAIL; empty: the null sender */
};

/* The whole field, folded, with its last CR LF. 0 or -ENOBUFS. */
int spf_put_received_spf(const struct spf_outcome *o, const struct spf_trace_facts *facts,
                         struct buf *out);
/* One resinfo of an Authentication-Results field: "; CR LF TAB spf=pass smtp.mailfrom=example.com". 0 or -ENOBUFS. */
int spf_put_resinfo(const struct spf_outcome *o, const struct spf_trace_facts *facts,
                    struct buf *out);

#endif
