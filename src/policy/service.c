/* service.c - the policy delegation protocol: options, requests, replies; pure */
#include "policy/service.h"

#include "policy/policy_private.h"
#include "wire/tls.h"

#include <errno.h>
#include <stdio.h>

/* ---- options ---- */

static int bad_option(struct str item, const char *cure, struct why *why)
{
        return why_set(why, -EINVAL, "check_policy_service: \"%.*s\": %s",
                       (int)(item.len > 100 ? 100 : item.len), item.ptr, cure);
}

static int parse_number(struct str item, struct str value, int64_t min, int64_t *out,
                        struct why *why)
{
        return str_to_int64(value, min, INT32_MAX, out) == 0
                       ? 0
                       : bad_option(item, "a number is wanted", why);
}

static int parse_time(struct str item, struct str value, int64_t *out, struct why *why)
{
        return config_parse_time(value, 's', out) == 0 && *out > 0
                       ? 0
                       : bad_option(item, "a time is wanted, as 10s", why);
}

static int parse_option(struct str item, struct arena *arena, struct policy_service *out,
                        struct why *why)
{
        struct str value = item;
        struct str name = str_trim(str_cut(&value, '='));
        value = str_trim(value);
        if (str_eq(name, STR("timeout")))
                return parse_time(item, value, &out->timeout_ms, why);
        if (str_eq(name, STR("max_idle")))
                return parse_time(item, value, &out->max_idle_ms, why);
        if (str_eq(name, STR("max_ttl")))
                return parse_time(item, value, &out->max_ttl_ms, why);
        if (str_eq(name, STR("retry_delay")))
                return parse_time(item, value, &out->retry_delay_ms, why);
        if (str_eq(name, STR("request_limit")))
                return parse_number(item, value, 0, &out->request_limit, why);
        if (str_eq(name, STR("try_limit")))
                return parse_number(item, value, 1, &out->try_limit, why);
        if (str_eq(name, STR("default_action")))
                out->default_action = arena_str(arena, value);
        else if (str_eq(name, STR("policy_context")))
                out->policy_context = arena_str(arena, value);
        else
                return bad_option(item,
                                  "options are default_action, max_idle, max_ttl, policy_context, "
                                  "request_limit, retry_delay, timeout, try_limit",
                                  why);
        return 0;
}

int policy_service_parse(struct str text, const struct params *params, struct arena *arena,
                         struct policy_service *out, struct why *why)
{
        *out = (struct policy_service){
                .timeout_ms = params->smtpd_policy_service_timeout,
                .max_idle_ms = params->smtpd_policy_service_max_idle,
                .max_ttl_ms = params->smtpd_policy_service_max_ttl,
                .retry_delay_ms = params->smtpd_policy_service_retry_delay,
                .request_limit = params->smtpd_policy_service_request_limit,
                .try_limit = params->smtpd_policy_service_try_limit,
                .default_action = params->smtpd_policy_service_default_action,
                .policy_context = params->smtpd_policy_service_policy_context,
        };
        struct str rest = text;
        if (text.len >= 2 && text.ptr[0] == '{' && text.ptr[text.len - 1] == '}')
                rest = str_part(text, 1, text.len - 2);
        struct str item;
        if (!config_list_next(&rest, &item))
                return bad_option(text, "write inet:host:port or unix:path", why);
        int rc = endpoint_parse(item, params->queue_directory, arena, &out->endpoint, why);
        while (!rc && config_list_next(&rest, &item))
                rc = parse_option(item, arena, out, why);
        return rc;
}

/* ---- requests ---- */

/* A value ends with its line, so nothing in it may. */
static int put(struct buf *out, const char *name, struct str value)
{
        int rc = buf_append_str(out, str_from(name));
        if (!rc)
                rc = buf_append_char(out, '=');
        for (size_t i = 0; i < value.len && !rc; i++) {
                char c = value.ptr[i];
                rc = buf_append_char(out, c == '\n' || c == '\r' || c == '\0' ? '?' : c);
        }
        return rc ? rc : buf_append_char(out, '\n');
}

static int put_number(struct buf *out, const char *name, int64_t value)
{
        char text[24];
        snprintf(text, sizeof(text), "%lld", (long long)value);
        return put(out, name, str_from(text));
}

/* Of "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)". */
static int put_tls(struct buf *out, struct str text)
{
        struct str protocol = {"", 0};
        struct str cipher = {"", 0};
        struct str bits = {"", 0};
        struct str word;
        str_next_word(&text, " ", &protocol);
        if (str_next_word(&text, " ", &word) && str_next_word(&text, " ", &word) &&
            str_next_word(&text, " ", &cipher))
                str_next_word(&text, " (/", &bits);
        int rc = put(out, "encryption_protocol", protocol);
        if (!rc)
                rc = put(out, "encryption_cipher", cipher);
        return rc ? rc : put(out, "encryption_keysize", bits.len ? bits : STR("0"));
}

int policy_service_request(const struct policy_service *service, const struct params *params,
                           enum policy_event event, const struct policy_facts *facts,
                           struct buf *out)
{
        const struct tls_peer *peer = facts->certificate;
        bool is_trusted = peer && peer->is_trusted;
        const struct {
                const char *name;
                struct str value;
        } texts[] = {
                {"request", STR("smtpd_access_policy")},
                {"protocol_state", str_from(policy_event_words(event, facts))},
                {"protocol_name", event == POLICY_AT_CONNECT ? STR("SMTP") : facts->protocol},
                {"client_address", facts->client_address},
                {"client_name", facts->client_name},
                {"client_port", facts->client_port},
                {"reverse_client_name", facts->reverse_client_name},
                {"server_address", facts->server_address},
                {"server_port", facts->server_port},
                {"helo_name", facts->helo},
                {"sender", facts->sender.text},
                {"recipient", facts->recipient.text},
                {"queue_id", facts->queue_id},
                {"instance", facts->instance},
                {"etrn_domain", facts->etrn_name},
                {"stress", params->stress},
                {"sasl_method", STR("")},
                {"sasl_username", STR("")},
                {"sasl_sender", STR("")},
                {"ccert_subject", str_from(is_trusted ? peer->subject : "")},
                {"ccert_issuer", str_from(is_trusted ? peer->issuer : "")},
                {"ccert_fingerprint", str_from(peer ? peer->fingerprint : "")},
                {"ccert_pubkey_fingerprint", str_from(peer ? peer->key_fingerprint : "")},
                {"policy_context", service->policy_context},
                {"compatibility_level", params->compatibility_level},
                {"mail_version", params->mail_version},
        };
        int rc = 0;
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && !rc; i++)
                rc = put(out, texts[i].name, texts[i].value);
        bool counts = event == POLICY_AT_DATA || event == POLICY_AT_END_OF_DATA;
        if (!rc)
                rc = put_number(out, "recipient_count",
                                counts ? (int64_t)facts->recipient_count : 0);
        if (!rc)
                rc = put_number(out, "size",
                                event == POLICY_AT_END_OF_DATA ? facts->message_bytes
                                                               : facts->declared_bytes);
        if (!rc)
                rc = put_tls(out, facts->tls);
        return rc ? rc : buf_append_char(out, '\n');
}

/* ---- replies ---- */

static struct str printable(struct str text, struct arena *arena)
{
        char *copy = arena_array(arena, char, text.len + 1);
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.ptr[i];
                copy[i] = (c < ' ' && c != '\t') || c == 0x7f ? '?' : text.ptr[i];
        }
        return str_make(copy, text.len);
}

enum policy_reply_state policy_reply_line(struct policy_reply *r, struct str line,
                                          struct arena *arena, struct why *why)
{
        if (line.len == 0) {
                if (r->has_action)
                        return POLICY_REPLY_DONE;
                why_set(why, -EPROTO, "the reply has no action");
                return POLICY_REPLY_BAD;
        }
        if (++r->lines > SERVICE_LINES_MAX) {
                why_set(why, -EPROTO, "the reply has more than %d lines", (int)SERVICE_LINES_MAX);
                return POLICY_REPLY_BAD;
        }
        if (str_find(line, '=') < 0) {
                why_set(why, -EPROTO, "a line of the reply is not name=value");
                return POLICY_REPLY_BAD;
        }
        struct str value = line;
        struct str name = str_trim(str_cut(&value, '='));
        if (str_eq(name, STR("action"))) {
                r->has_action = true;
                r->action = printable(str_trim(value), arena);
        }
        return POLICY_REPLY_MORE;
}
