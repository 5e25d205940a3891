/*
 * trace_field.c - what SPF said, as header fields
 *
 *      header-field   = "Received-SPF:" [CFWS] result FWS [comment FWS] [ key-value-list ] CRLF
 *      key-value-list = key-value-pair *( ";" [CFWS] key-value-pair ) [";"]
 *      key-value-pair = key [CFWS] "=" ( dot-atom / quoted-string )
 *
 * Each pair has a line of its own, so that no line gets long, whatever the client said.
 */
#include "policy/spf/trace_field.h"

#include "message/authres.h"
#include "smtp/command.h"

#include <errno.h>

enum { VALUE_BYTES_MAX = 400 };

/* RFC 5322 3.2.3 */
static bool is_dot_atom(struct str s)
{
        for (size_t i = 0; i < s.len; i++) {
                char c = s.ptr[i];
                bool is_dot = c == '.' && i > 0 && i + 1 < s.len && s.ptr[i - 1] != '.';
                if (!char_is_alnum(c) && !is_dot &&
                    (c == '\0' || !strchr("!#$%&'*+-/=?^_`{|}~", c)))
                        return false;
        }
        return s.len > 0;
}

/* A value that is a token but no dot-atom has quotes here; authres_put_value() knows the other way round. */
static int put_pair(struct buf *out, const char *key, struct str value)
{
        bool is_first = out->len && out->ptr[out->len - 1] == ')'; /* behind the comment */
        const char *separator = is_first ? "" : ";";
        if (value.len <= VALUE_BYTES_MAX && is_dot_atom(value))
                return buf_printf(out, "%s\r\n\t%s=%.*s", separator, key, STR_ARG(value));
        int rc = buf_printf(out, "%s\r\n\t%s=\"", separator, key);
        value = str_part(value, 0, VALUE_BYTES_MAX);
        for (size_t i = 0; i < value.len && !rc; i++) {
                char c = value.ptr[i];
                if (c == '"' || c == '\\')
                        rc = buf_append_char(out, '\\');
                if (!rc)
                        rc = buf_append_char(out, (unsigned char)c < ' ' || c == 0x7f ? '?' : c);
        }
        return rc ? rc : buf_append_char(out, '"');
}

static int put_comment_text(struct buf *out, struct str text)
{
        int rc = 0;
        text = str_part(text, 0, VALUE_BYTES_MAX);
        for (size_t i = 0; i < text.len && !rc; i++) {
                char c = text.ptr[i];
                bool is_odd =
                        c == '(' || c == ')' || c == '\\' || (unsigned char)c < ' ' || c == 0x7f;
                rc = buf_append_char(out, is_odd ? '?' : c);
        }
        return rc;
}

static int put_comment(const struct spf_outcome *o, const struct spf_trace_facts *facts,
                       struct buf *out)
{
        static const char *const words[] = {
                [SPF_NONE] = " has no SPF record",
                [SPF_NEUTRAL] = " says nothing about",
                [SPF_PASS] = " designates as permitted sender",
                [SPF_FAIL] = " does not permit",
                [SPF_SOFTFAIL] = " would rather not permit",
                [SPF_TEMPERROR] = ": a look-up failed for",
                [SPF_PERMERROR] = ": its SPF record is in error, for",
        };
        if (buf_append_str(out, STR(" (")) || put_comment_text(out, facts->receiver) ||
            buf_append_str(out, STR(": ")) || put_comment_text(out, o->domain) ||
            buf_append_str(out, str_from(words[o->result])))
                return -1;
        if (o->result != SPF_NONE &&
            (buf_append_char(out, ' ') || put_comment_text(out, facts->client_address)))
                return -1;
        return buf_append_char(out, ')');
}

int spf_put_received_spf(const struct spf_outcome *o, const struct spf_trace_facts *facts,
                         struct buf *out)
{
        size_t before = out->len;
        int rc = buf_printf(out, "Received-SPF: %s", spf_result_name(o->result));
        if (!rc)
                rc = put_comment(o, facts, out);
        if (!rc)
                rc = put_pair(out, "receiver", facts->receiver);
        if (!rc)
                rc = put_pair(out, "client-ip", facts->client_address);
        if (!rc)
                rc = put_pair(out, "envelope-from", facts->sender);
        if (!rc)
                rc = put_pair(out, "helo", facts->helo);
        if (!rc)
                rc = put_pair(out, "identity", o->is_helo ? STR("helo") : STR("mailfrom"));
        if (!rc && o->mechanism.len)
                rc = put_pair(out, "mechanism", o->mechanism);
        if (!rc && o->problem.len && (o->result == SPF_TEMPERROR || o->result == SPF_PERMERROR))
                rc = put_pair(out, "problem", o->problem);
        if (!rc)
                rc = buf_append_str(out, STR("\r\n"));
        if (rc) {
                out->len = before;
                return -ENOBUFS;
        }
        return 0;
}

/* A value is token or quoted string; an address may also stand without quotes when its local part is plain (2.2). */
static int put_identity(const struct spf_outcome *o, const struct spf_trace_facts *facts,
                        struct buf *out)
{
        if (o->is_helo) {
                int rc = buf_append_str(out, STR(" smtp.helo="));
                return rc ? rc : authres_put_value(out, facts->helo, VALUE_BYTES_MAX);
        }
        int rc = buf_append_str(out, STR(" smtp.mailfrom="));
        ptrdiff_t at = str_find_last(facts->sender, '@');
        struct str local = str_part(facts->sender, 0, at < 0 ? 0 : (size_t)at);
        if (!rc && facts->sender.len <= VALUE_BYTES_MAX && is_dot_atom(local) &&
            smtp_domain_is_valid(str_tail(facts->sender, (size_t)at + 1)))
                return buf_append_str(out, facts->sender);
        return rc ? rc : authres_put_value(out, o->domain, VALUE_BYTES_MAX);
}

int spf_put_resinfo(const struct spf_outcome *o, const struct spf_trace_facts *facts,
                    struct buf *out)
{
        size_t before = out->len;
        int rc = buf_printf(out, ";\r\n\tspf=%s", spf_result_name(o->result));
        if (!rc && o->problem.len && (o->result == SPF_TEMPERROR || o->result == SPF_PERMERROR)) {
                rc = buf_append_str(out, STR(" reason="));
                if (!rc)
                        rc = authres_put_value(out, o->problem, VALUE_BYTES_MAX);
        }
        if (!rc)
                rc = put_identity(o, facts, out);
        if (rc)
                out->len = before;
        return rc ? -ENOBUFS : 0;
}
