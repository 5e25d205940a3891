/*
 * macro.c - what filters are told of a session (MILTER_README, "macro names")
 *
 * A macro without a value is not sent; milter_macro_defaults may give it one.
 */
#include "milter/milter_private.h"

#include "wire/tls.h"

struct str milter_macro_names(const struct params *params, enum milter_stage stage)
{
        switch (stage) {
        case MILTER_CONNECT:
                return params->milter_connect_macros;
        case MILTER_HELO:
                return params->milter_helo_macros;
        case MILTER_MAIL:
                return params->milter_mail_macros;
        case MILTER_RCPT:
                return params->milter_rcpt_macros;
        case MILTER_DATA:
                return params->milter_data_macros;
        case MILTER_END:
                return params->milter_end_of_data_macros;
        case MILTER_END_OF_HEADER:
                return params->milter_end_of_header_macros;
        case MILTER_UNKNOWN:
                return params->milter_unknown_command_macros;
        case MILTER_STAGES:
                break;
        }
        return STR("");
}

static struct str resolve_word(const struct policy_facts *facts)
{
        switch (facts->client_name_status) {
        case CLIENT_NAME_OK:
                return STR("OK");
        case CLIENT_NAME_TEMPORARY:
                return STR("TEMP");
        case CLIENT_NAME_NONE:
                return STR("FAIL");
        case CLIENT_NAME_FORGED:
                return STR("FORGED");
        }
        return STR("");
}

/* The n-th word of "TLSv1.3 with cipher X (256/256 bits)", which ends at a blank, "(" or "/". */
static struct str tls_word(struct str text, int n)
{
        struct str word = {"", 0};
        for (int i = 0; i <= n; i++)
                if (!str_next_word(&text, " (/", &word))
                        return STR("");
        return word;
}

/* "name=value", "{name}=value", "{ name = a b }": braces around all of it are taken off. */
static bool next_default(struct str *rest, struct str *item)
{
        size_t at = 0;
        int depth = 0;
        size_t closed = 0; /* behind the brace that closes the first */
        while (at < rest->len && strchr(", \t\r\n", rest->ptr[at]))
                at++;
        *rest = str_tail(*rest, at);
        for (at = 0; at < rest->len; at++) {
                char c = rest->ptr[at];
                if (depth == 0 && strchr(", \t\r\n", c))
                        break;
                depth += c == '{';
                if (c == '}' && depth > 0 && --depth == 0 && closed == 0)
                        closed = at + 1;
        }
        *item = str_part(*rest, 0, at);
        *rest = str_tail(*rest, at);
        if (item->len && item->ptr[0] == '{' && closed == item->len)
                *item = str_trim(str_part(*item, 1, item->len - 2));
        return item->len > 0;
}

static struct str macro_default(const struct params *params, struct str name)
{
        struct str rest = params->milter_macro_defaults;
        struct str item;
        while (next_default(&rest, &item)) {
                struct str value = item;
                struct str key = str_trim(str_cut(&value, '='));
                if (key.len >= 2 && key.ptr[0] == '{')
                        key = str_part(key, 1, key.len - 2);
                if (str_eq(key, name))
                        return str_trim(value);
        }
        return STR("");
}

/* Of a recipient that was refused: what Postfix says of it in place of its route. */
static struct str rejected_value(const struct smtp_reply *reply, struct str name)
{
        if (str_eq(name, STR("rcpt_mailer")))
                return STR("error");
        if (str_eq(name, STR("rcpt_host")))
                return str_from(reply->enhanced ? reply->enhanced : "");
        return str_eq(name, STR("rcpt_addr")) ? reply->text : STR("");
}

static struct str value_of(const struct params *params, const struct policy_facts *f,
                           enum milter_stage stage, const struct milter_args *args, struct str name,
                           struct arena *arena)
{
        const struct tls_peer *peer =
                f->certificate && f->certificate->is_trusted ? f->certificate : NULL;
        bool is_mail = stage == MILTER_MAIL && args;
        bool is_rcpt = stage == MILTER_RCPT && args;
        if (is_rcpt && args->rejected && str_starts(name, STR("rcpt_")))
                return rejected_value(args->rejected, name);
#define IS(text) str_eq(name, STR(text))
        if (IS("i"))
                return f->queue_id;
        if (IS("j"))
                return params->myhostname;
        if (IS("v"))
                return params->milter_macro_v;
        if (IS("_"))
                return arena_printf(arena, "%.*s [%.*s]", STR_ARG(f->client_name),
                                    STR_ARG(f->client_address));
        if (IS("daemon_name"))
                return params->milter_macro_daemon_name;
        if (IS("daemon_addr"))
                return f->server_address;
        if (IS("daemon_port"))
                return f->server_port;
        if (IS("client_addr"))
                return f->client_address;
        if (IS("client_connections"))
                return arena_printf(arena, "%zu", f->client_connections);
        if (IS("client_name"))
                return f->client_name;
        if (IS("client_port"))
                return f->client_port;
        if (IS("client_ptr"))
                return f->reverse_client_name;
        if (IS("client_resolve"))
                return resolve_word(f);
        if (IS("tls_version"))
                return tls_word(f->tls, 0);
        if (IS("cipher"))
                return tls_word(f->tls, 3);
        if (IS("cipher_bits"))
                return tls_word(f->tls, 4);
        if (IS("cert_subject") && peer)
                return str_from(peer->subject);
        if (IS("cert_issuer") && peer)
                return str_from(peer->issuer);
        if (IS("mail_addr") && is_mail)
                return f->sender.text;
        if (IS("mail_host") && is_mail)
                return args->host;
        if (IS("mail_mailer") && is_mail)
                return args->mailer;
        if (IS("rcpt_addr") && is_rcpt)
                return f->recipient.text;
        if (IS("rcpt_host") && is_rcpt)
                return args->host;
        if (IS("rcpt_mailer") && is_rcpt)
                return args->mailer;
#undef IS
        return STR("");
}

struct str milter_macro_value(const struct params *params, const struct policy_facts *facts,
                              enum milter_stage stage, const struct milter_args *args,
                              struct str name, struct arena *arena)
{
        if (name.len >= 2 && name.ptr[0] == '{' && name.ptr[name.len - 1] == '}')
                name = str_part(name, 1, name.len - 2);
        struct str value = value_of(params, facts, stage, args, name, arena);
        return value.len ? value : macro_default(params, name);
}
