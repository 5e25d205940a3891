/*
 * dns.c - forepost dns: what the resolver of the service says, in the manner of host(1)
 *
 * Asks as the service would (dns_forward, dns_stub, validation), or, where there is no configuration, the name servers of the world.
 * An MX record's hosts are asked for too: a host that is an alias or has no address is what mail will
 * stumble over.
 */
#include "base/buf.h"
#include "base/clock.h"
#include "bin/command.h"
#include "bin/dns_open.h"
#include "ops/json.h"
#include "table/table.h"

#include <unistd.h>

enum { AS_JSON = 1, VALUE_DNS = 2, OUT_BYTES_MAX = 1024 * 1024 };

struct job {
        struct dns_questions *questions;
        struct dns *dns;
        struct str name;
        enum dns_type type;
        bool wants_json;
        int code;
};

static bool type_find(const char *word, enum dns_type *out)
{
        static const enum dns_type types[] = {DNS_A,    DNS_AAAA, DNS_MX,    DNS_PTR, DNS_TXT,
                                              DNS_TLSA, DNS_NS,   DNS_CNAME, DNS_SOA, DNS_SRV};
        for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
                if (str_eq_nocase(str_from(word), str_from(dns_type_name(types[i])))) {
                        *out = types[i];
                        return true;
                }
        return false;
}

static const char *security(const struct dns_answer *a)
{
        return a->is_bogus ? "bogus" : a->is_secure ? "secure" : "insecure";
}

/* ---- as text ---- */

static void print_hex(struct str bytes)
{
        for (size_t i = 0; i < bytes.len; i++)
                printf("%02X", (unsigned char)bytes.ptr[i]);
}

/* What a stranger published, without bytes that a terminal would obey. */
static void print_text(struct str text)
{
        putchar('"');
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.ptr[i];
                if (c == '"' || c == '\\')
                        printf("\\%c", c);
                else if (c < ' ' || c >= 0x7f)
                        printf("\\%03u", c);
                else
                        putchar(c);
        }
        putchar('"');
}

static void print_record(struct str owner, enum dns_type type, const struct dns_record *r)
{
        printf("%.*s ", STR_ARG(owner));
        switch (type) {
        case DNS_A:
                printf("has address %.*s", STR_ARG(r->text));
                break;
        case DNS_AAAA:
                printf("has IPv6 address %.*s", STR_ARG(r->text));
                break;
        case DNS_MX:
                if (str_is_empty(r->name))
                        printf("takes no mail (null MX, RFC 7505)");
                else
                        printf("mail is handled by %u %.*s.", r->preference, STR_ARG(r->name));
                break;
        case DNS_SRV:
                if (str_is_empty(r->name))
                        printf("has no such service (RFC 2782)");
                else
                        printf("has SRV record %u %u %u %.*s.", r->preference, r->weight, r->port,
                               STR_ARG(r->name));
                break;
        case DNS_PTR:
                printf("domain name pointer %.*s.", STR_ARG(r->name));
                break;
        case DNS_NS:
                printf("name server %.*s.", STR_ARG(r->name));
                break;
        case DNS_CNAME:
                printf("is an alias for %.*s.", STR_ARG(r->name));
                break;
        case DNS_TXT:
                printf("descriptive text ");
                print_text(r->text);
                break;
        case DNS_TLSA:
                printf("has TLSA record %u %u %u ", r->tlsa.usage, r->tlsa.selector,
                       r->tlsa.matching);
                print_hex(r->tlsa.association);
                break;
        case DNS_SOA:
                printf("has SOA record ");
                print_hex(r->data);
                break;
        }
        putchar('\n');
}

static void print_answer(const struct job *job, const struct dns_answer *a)
{
        if (a->owner.len && !str_eq_nocase(a->owner, job->name))
                printf("%.*s is an alias for %.*s.\n", STR_ARG(job->name), STR_ARG(a->owner));
        struct str owner = a->owner.len ? a->owner : job->name;
        for (size_t i = 0; i < a->count; i++)
                print_record(owner, job->type, &a->records[i]);
        if (a->result == DNS_NO_DATA)
                printf("%.*s has no %s record\n", STR_ARG(owner), dns_type_name(job->type));
        else if (a->result == DNS_NO_NAME)
                printf("%.*s does not exist (NXDOMAIN)\n", STR_ARG(owner));
        else if (a->result == DNS_FAILED)
                printf("%.*s cannot be looked up: %s\n", STR_ARG(job->name), a->why);
        if (a->result == DNS_FAILED)
                printf("%s\n", a->is_bogus ? "bogus: this is a failed look-up, mail waits"
                                           : "failed: mail waits");
        else
                printf("%s\n",
                       a->is_secure ? "secure: DNSSEC proves it" : "insecure: nothing proves it");
}

/* ---- MX hosts ---- */

struct mx_host {
        struct str alias; /* empty: it is none */
        size_t address_count;
        bool has_failed;
        const struct dns_answer *answers[2];
};

static struct mx_host await_mx_host(const struct job *job, struct str name)
{
        static const enum dns_type types[] = {DNS_A, DNS_AAAA};
        struct mx_host h = {.alias = STR("")};
        for (size_t i = 0; i < 2; i++) {
                const struct dns_answer *a = await_dns(job->questions, name, types[i], CLOCK_NEVER);
                h.answers[i] = a;
                h.address_count += a->count;
                h.has_failed = h.has_failed || a->result == DNS_FAILED;
                if (a->owner.len && !str_eq_nocase(a->owner, name))
                        h.alias = a->owner;
        }
        return h;
}

static void ask_mx_hosts(const struct job *job, const struct dns_answer *mx)
{
        for (size_t i = 0; i < mx->count; i++)
                if (mx->records[i].name.len) {
                        dns_ask(job->questions, mx->records[i].name, DNS_A);
                        dns_ask(job->questions, mx->records[i].name, DNS_AAAA);
                }
}

static void await_print_mx_host(const struct job *job, struct str name)
{
        struct mx_host h = await_mx_host(job, name);
        if (h.alias.len)
                printf("%.*s is an alias for %.*s. (an MX record should not name an alias: RFC "
                       "5321 5.1)\n",
                       STR_ARG(name), STR_ARG(h.alias));
        for (size_t i = 0; i < 2; i++)
                for (size_t k = 0; k < h.answers[i]->count; k++)
                        print_record(name, i ? DNS_AAAA : DNS_A, &h.answers[i]->records[k]);
        if (h.address_count == 0)
                printf("%.*s has no address%s\n", STR_ARG(name),
                       h.has_failed ? " that can be looked up now" : "");
}

/* ---- as JSON ---- */

static void put_record(struct json *j, enum dns_type type, const struct dns_record *r)
{
        json_open(j, NULL, '{');
        if (type == DNS_MX)
                json_int(j, "preference", r->preference);
        if (type == DNS_SRV) {
                json_int(j, "priority", r->preference);
                json_int(j, "weight", r->weight);
                json_int(j, "port", r->port);
        }
        if (type == DNS_MX || type == DNS_PTR || type == DNS_NS || type == DNS_CNAME ||
            type == DNS_SRV)
                json_str(j, "name", r->name);
        if (type == DNS_A || type == DNS_AAAA)
                json_str(j, "address", r->text);
        if (type == DNS_TXT)
                json_str(j, "text", r->text);
        if (type == DNS_TLSA) {
                struct buf hex;
                buf_init(&hex, OUT_BYTES_MAX);
                for (size_t i = 0; i < r->tlsa.association.len; i++)
                        buf_printf(&hex, "%02x", (unsigned char)r->tlsa.association.ptr[i]);
                json_int(j, "usage", r->tlsa.usage);
                json_int(j, "selector", r->tlsa.selector);
                json_int(j, "matching", r->tlsa.matching);
                json_str(j, "association", buf_str(&hex));
                buf_done(&hex);
        }
}

static void await_put_mx_host(const struct job *job, struct json *j, struct str name)
{
        struct mx_host h = await_mx_host(job, name);
        json_open(j, "addresses", '[');
        for (size_t i = 0; i < 2; i++)
                for (size_t k = 0; k < h.answers[i]->count; k++)
                        json_str(j, NULL, h.answers[i]->records[k].text);
        json_close(j, ']');
        if (h.alias.len)
                json_str(j, "alias_of", h.alias);
}

static void await_print_json(const struct job *job, const struct dns_answer *a)
{
        struct buf out;
        struct json j;
        buf_init(&out, OUT_BYTES_MAX);
        json_init(&j, &out);
        json_open(&j, NULL, '{');
        json_str(&j, "name", job->name);
        json_str(&j, "type", str_from(dns_type_name(job->type)));
        json_str(&j, "result", str_from(dns_result_name(a->result)));
        json_str(&j, "security", str_from(security(a)));
        json_str(&j, "owner", a->owner);
        json_int(&j, "ttl", a->ttl_ms / 1000);
        json_int(&j, "us", a->took_us);
        if (a->why)
                json_str(&j, "why", str_from(a->why));
        json_open(&j, "records", '[');
        for (size_t i = 0; i < a->count; i++) {
                put_record(&j, job->type, &a->records[i]);
                if (job->type == DNS_MX && a->records[i].name.len)
                        await_put_mx_host(job, &j, a->records[i].name);
                json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
        fwrite(out.ptr, 1, out.len, stdout);
        buf_done(&out);
}

/* ---- the command ---- */

static void await_job(void *arg)
{
        struct job *job = arg;
        job->questions = dns_questions_new(job->dns);
        const struct dns_answer *a = await_dns(job->questions, job->name, job->type, CLOCK_NEVER);
        if (job->type == DNS_MX)
                ask_mx_hosts(job, a);
        if (job->wants_json) {
                await_print_json(job, a);
        } else {
                print_answer(job, a);
                for (size_t i = 0; job->type == DNS_MX && i < a->count; i++)
                        if (a->records[i].name.len)
                                await_print_mx_host(job, a->records[i].name);
        }
        job->code = a->result == DNS_FOUND ? EXIT_DONE : EXIT_FAILED;
        dns_questions_free(&job->questions);
}

static bool has_configuration(const struct args *args)
{
        static char path[4096];
        int len = snprintf(path, sizeof(path), "%s/main.cf", args->dir);
        return len >= (int)sizeof(path) || access(path, F_OK) == 0;
}

/* "192.0.2.1" is asked for by its name in in-addr.arpa. */
static struct str name_of(const char *word, enum dns_type type, char reverse[DNS_NAME_BYTES_MAX])
{
        unsigned char bits[16];
        struct str name = str_from(word);
        if (type != DNS_PTR || !network_address_parse(name, bits))
                return name;
        bool is_ipv6 = str_find(name, ':') >= 0;
        return dns_reverse(bits, is_ipv6 ? STR("ip6.arpa") : STR("in-addr.arpa"), reverse);
}

static int run(const struct args *args)
{
        char reverse[DNS_NAME_BYTES_MAX];
        struct job job = {.wants_json = args->flags & AS_JSON, .code = EXIT_FAILED};
        if (!type_find(args->words[0], &job.type)) {
                command_error("\"%s\" is no type: write one of a, aaaa, mx, ptr, txt, tlsa, ns, "
                              "cname, soa",
                              args->words[0]);
                return EXIT_USAGE;
        }
        job.name = name_of(args->words[1], job.type, reverse);
        struct config *config = NULL;
        if (has_configuration(args) && !(config = command_config_load(args)))
                return EXIT_FAILED;
        job.dns = command_dns_open(config, args_value(args, VALUE_DNS));
        if (job.dns)
                command_run_task(await_job, &job);
        dns_unref(&job.dns);
        config_unref(&config);
        return job.code;
}

static const struct args_flag flags[] = {
        {"--json", AS_JSON, "one JSON object", NULL},
        {"--dns", VALUE_DNS, "answers come from this file, and from nowhere else", "FILE"},
        {NULL, 0, NULL, NULL},
};

const struct command command_dns = {
        .name = "dns",
        .operands = "TYPE NAME",
        .summary = "Asks the DNS as the service does, and says whether DNSSEC proves the answer",
        .help = "TYPE is a, aaaa, mx, ptr, txt, tlsa, ns, cname or soa; for ptr NAME may be an address. The\n"
                "hosts of MX records are asked for too. The last line of the answer says secure,\n"
                "insecure, or bogus: a wrong signature is a failed look-up. Without a main.cf in the\n"
                "directory the name servers of the world are asked, with validation. Exit code 1: there\n"
                "is no such record, or it cannot be known now.\n",
        .flags = flags,
        .words_min = 2,
        .words_max = 2,
        .run = run,
};
