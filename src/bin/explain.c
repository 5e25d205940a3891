/*
 * explain.c - forepost explain: why was, or would, this be refused?
 *
 * With a code: what the running server remembers of that refusal. With --client: a made-up session through the configuration's
 * own lists (ops/rehearsal.h), each reply with the rules that were asked for it, and the decision.
 */
#include "base/buf.h"
#include "base/log.h"
#include "bin/ask.h"
#include "bin/command.h"
#include "bin/dns_open.h"
#include "ops/rehearsal.h"

#include <errno.h>

enum {
        AS_JSON = 1,
        WITH_TLS = 2,
        VALUE_CLIENT = 4,
        VALUE_PORT = 8,
        VALUE_HELO = 16,
        VALUE_FROM = 32,
        VALUE_TO = 64,
        VALUE_MESSAGE = 128,
        VALUE_DNS = 256,
        VALUE_SERVICE = 512,
        ASKS_FILTERS = 1024,
        RECIPIENTS_MAX = ARGS_VALUES_MAX,
        MESSAGE_BYTES_MAX = 64 * 1024 * 1024,
        RECORDS_BYTES_MAX = 8 * 1024 * 1024,
};

/* The replies one after the other, each with its length in front: records may hold empty lines. */
struct replies {
        struct buf records;
        size_t lengths[256];
        size_t count;
};

static void keep(void *context, struct str record)
{
        struct replies *r = context;
        if (r->count == sizeof(r->lengths) / sizeof(r->lengths[0]) ||
            buf_append_str(&r->records, record) < 0)
                return;
        r->lengths[r->count++] = record.len;
}

static struct str reply_at(const struct replies *r, size_t at)
{
        size_t from = 0;
        for (size_t i = 0; i < at; i++)
                from += r->lengths[i];
        return str_part(buf_str(&r->records), from, r->lengths[at]);
}

/* The reply that decided: the first refusal that ended something, else the last before QUIT. */
static bool find_decision(const struct replies *r, struct explanation_reply *out)
{
        bool is_found = false;
        for (size_t i = 0; i < r->count; i++) {
                struct explanation_reply one;
                if (!explanation_reply(reply_at(r, i), &one) || str_eq(one.verb, STR("QUIT")))
                        continue;
                *out = one;
                is_found = true;
                if (one.code >= 400)
                        break;
        }
        return is_found;
}

/* ---- printing ---- */

static void print_json(const struct replies *r)
{
        struct buf out;
        struct json j;
        struct explanation_reply decision;
        buf_init(&out, 4 * RECORDS_BYTES_MAX);
        json_init(&j, &out);
        json_open(&j, NULL, '{');
        bool is_known = find_decision(r, &decision);
        json_int(&j, "code", is_known ? decision.code : 0);
        json_str(&j, "enhanced", is_known ? decision.enhanced : STR(""));
        json_str(&j, "text", is_known ? decision.text : STR(""));
        json_str(&j, "verb", is_known ? decision.verb : STR(""));
        json_str(&j, "rule", is_known ? decision.rule : STR(""));
        json_open(&j, "steps", '[');
        for (size_t i = 0; i < r->count; i++)
                explanation_put_steps(&j, reply_at(r, i));
        json_close(&j, ']');
        json_open(&j, "replies", '[');
        for (size_t i = 0; i < r->count; i++) {
                json_open(&j, NULL, '{');
                explanation_put_json(&j, reply_at(r, i));
                json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
        fwrite(out.ptr, 1, out.len, stdout);
        buf_done(&out);
}

static void print_text(const struct replies *r)
{
        struct explanation_reply decision;
        struct buf out;
        buf_init(&out, 4 * RECORDS_BYTES_MAX);
        for (size_t i = 0; i < r->count; i++)
                explanation_put_text(&out, reply_at(r, i), i ? reply_at(r, i - 1) : STR(""));
        if (find_decision(r, &decision))
                buf_printf(&out, "\n%s at %.*s: %lld %.*s %.*s\n",
                           decision.code >= 400 ? "Refused" : "Accepted", STR_ARG(decision.verb),
                           (long long)decision.code, STR_ARG(decision.enhanced),
                           STR_ARG(decision.text));
        if (find_decision(r, &decision) && decision.rule.len)
                buf_printf(&out, "by %.*s\n", STR_ARG(decision.rule));
        fwrite(out.ptr, 1, out.len, stdout);
        buf_done(&out);
}

/* ---- a made-up session ---- */

static int hold(const struct args *args, struct rehearsal *r, struct str message)
{
        static struct str recipients[RECIPIENTS_MAX];
        struct why why;
        int64_t port = 0;
        const char *from = args_value(args, VALUE_FROM);
        const char *port_text = args_value(args, VALUE_PORT);
        if (port_text && str_to_int64(str_from(port_text), 1, 65535, &port) < 0) {
                command_error("--port %s: a port is a number from 1 to 65535", port_text);
                return EXIT_USAGE;
        }
        struct rehearsal_client client = {
                .address = str_from(args_value(args, VALUE_CLIENT)),
                .port = (uint16_t)port,
                .helo = str_from(args_value(args, VALUE_HELO)),
                .recipients = recipients,
                .message = message,
                .has_message = args_value(args, VALUE_MESSAGE) != NULL,
                .wants_tls = (args->flags & WITH_TLS) != 0,
        };
        for (size_t i = 0; i < args->value_count; i++)
                if (args->values[i].bit == VALUE_TO)
                        recipients[client.recipient_count++] = str_from(args->values[i].text);
        client.has_sender = from || client.recipient_count;
        client.sender = from && strcmp(from, "<>") != 0 ? str_from(from) : STR("");
        static struct replies replies; /* large for a frame */
        buf_init(&replies.records, RECORDS_BYTES_MAX);
        int rc = rehearsal_hold(r, &client, keep, &replies, &why);
        if (replies.count && (args->flags & AS_JSON))
                print_json(&replies);
        else if (replies.count)
                print_text(&replies);
        if (rc < 0)
                command_error("%s", why.text);
        buf_done(&replies.records);
        return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int read_message(const char *name, struct buf *out)
{
        FILE *f = fopen(name, "r");
        static char piece[16384];
        size_t n;
        if (!f) {
                command_error("%s: %s", name, why_errno(errno));
                return -1;
        }
        while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
                if (buf_append(out, piece, n) < 0)
                        break;
        fclose(f);
        if (n == 0)
                return 0;
        command_error("%s: over %d MiB", name, MESSAGE_BYTES_MAX >> 20);
        return -1;
}

static int rehearse(const struct args *args)
{
        const char *client = args_value(args, VALUE_CLIENT);
        const char *dns_file = args_value(args, VALUE_DNS);
        const char *message_file = args_value(args, VALUE_MESSAGE);
        unsigned char bits[16];
        if (!network_address_parse(str_from(client), bits)) {
                command_error("--client %s: that is no IP address", client);
                return EXIT_USAGE;
        }
        struct buf message;
        buf_init(&message, MESSAGE_BYTES_MAX);
        struct dns *dns = dns_file ? command_dns_open(NULL, dns_file) : NULL;
        int code = EXIT_FAILED;
        if ((!dns_file || dns) && (!message_file || read_message(message_file, &message) == 0)) {
                struct findings findings;
                struct why why;
                findings_init(&findings);
                const struct rehearsal_options options = {
                        .dir = args->dir,
                        .overrides = args_overrides(args),
                        .service = str_from(args_value(args, VALUE_SERVICE)),
                        .dns = dns,
                        .is_offline = dns_file && !(args->flags & ASKS_FILTERS),
                };
                log_only_trouble();
                struct rehearsal *r = rehearsal_new(&options, &findings, &why);
                if (r)
                        code = hold(args, r, buf_str(&message));
                else
                        command_error("%s", why.text);
                rehearsal_free(&r);
                findings_done(&findings);
        }
        dns_unref(&dns);
        buf_done(&message);
        return code;
}

static int ask(const struct args *args)
{
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        const struct request request = {.verb = REQUEST_EXPLAIN,
                                        .id = str_from(args->words[0]),
                                        .wants_json = (args->flags & AS_JSON) != 0};
        int code = command_ask(c, &request);
        config_unref(&c);
        return code;
}

static int run(const struct args *args)
{
        bool has_client = args_value(args, VALUE_CLIENT) != NULL;
        if (has_client == (args->word_count == 1)) {
                command_error(
                        "write the code of a refusal, or --client ADDRESS and what that client does");
                return EXIT_USAGE;
        }
        return has_client ? rehearse(args) : ask(args);
}

static const struct args_flag flags[] = {
        {"--client", VALUE_CLIENT, "a session from this address, with what the other options say",
         "ADDRESS"},
        {"--port", VALUE_PORT, "the client's port", "PORT"},
        {"--helo", VALUE_HELO, "its name in EHLO", "NAME"},
        {"--from", VALUE_FROM, "the sender in MAIL; <> is the null sender", "ADDRESS"},
        {"--to", VALUE_TO, "a recipient in RCPT; may be given several times", "ADDRESS"},
        {"--message", VALUE_MESSAGE, "what follows DATA", "FILE"},
        {"--tls", WITH_TLS, "STARTTLS first", NULL},
        {"--dns", VALUE_DNS, "answers come from this file, and from nowhere else", "FILE"},
        {"--ask-filters", ASKS_FILTERS,
         "with --dns: ask the policy services and milters of the configuration all the same", NULL},
        {"--service", VALUE_SERVICE, "the service of master.cf; without: the first", "NAME"},
        {"--json", AS_JSON,
         "one JSON object: \"code\", \"enhanced\", \"text\", \"steps\", \"replies\"", NULL},
        {NULL, 0, NULL, NULL},
};

const struct command command_explain = {
        .name = "explain",
        .operands = "[CODE]",
        .summary = "Tells why something was refused, or would be",
        .help = "forepost explain CODE asks the server for the refusal with the code that stands behind its text.\n"
                "forepost explain --client 192.0.2.1 --helo mx.example --from a@b.example --to c@d.example holds such a\n"
                "session with this configuration, in a spool that is thrown away, and prints for each reply which rules\n"
                "were asked, where they are written, what they looked up, what came back and how long that took.\n"
                "Policy services and milters that the configuration names are asked for real, which a greylist will note; with\n"
                "--dns they are not, unless --ask-filters says so, and what they would have said is left open. doc/explain.md\n"
                "tells what the members of --json mean.\n",
        .flags = flags,
        .words_min = 0,
        .words_max = 1,
        .run = run,
};
