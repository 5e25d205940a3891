/*
 * rig_unit.h - a policy made from the text of a main.cf, for the tests of this room
 *
 * The test's directory has main.cf and the files that the test writes. The log goes to a file in
 * it. A table whose key has "broken" in it cannot be asked: the tests' programs put these functions
 * in place of await_table_find() and its kin (meson.build: --wrap).
 */
#ifndef POLICY_RIG_UNIT_H
#define POLICY_RIG_UNIT_H

#include "base/log.h"
#include "base/unit.h"
#include "policy/policy_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>

struct rig {
        char dir[64];
        struct config *config;
        struct table_set *tables;
        struct findings findings;
        struct dns *dns; /* what rig_dns() gave; else nothing is there */
        struct policy *policy;
        struct arena arena;
        struct policy_facts facts;
        struct policy_effects effects;
        struct verdict verdict;
};

static inline const char *rig_path(const struct rig *r, const char *name)
{
        static char path[256];
        snprintf(path, sizeof(path), "%s/%s", r->dir, name);
        return path;
}

static inline void rig_write(const struct rig *r, const char *name, const char *text)
{
        FILE *f = fopen(rig_path(r, name), "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

/* What was logged since the last call. */
static inline const char *rig_log(const struct rig *r)
{
        static char text[16384];
        text[0] = '\0';
        FILE *f = fopen(rig_path(r, "log"), "r");
        if (f) {
                text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
                fclose(f);
                assert_int_equal(truncate(rig_path(r, "log"), 0), 0);
        }
        return text;
}

static inline void rig_print_findings(const struct rig *r)
{
        char line[2000];
        for (const struct finding *i = r->findings.first; i; i = i->next) {
                finding_format(i, line, sizeof(line));
                print_message("%s", line);
        }
}

static inline const struct finding *rig_finding(const struct rig *r, const char *code)
{
        const struct finding *i = r->findings.first;
        while (i && strcmp(i->code, code) != 0)
                i = i->next;
        return i;
}

/* The directory, for files that main.cf names; then rig_load(). */
static inline void rig_init(struct rig *r)
{
        *r = (struct rig){.dir = "/tmp/forepost-policy-XXXXXX"};
        assert_non_null(mkdtemp(r->dir));
        char path[256];
        snprintf(path, sizeof(path), "%s/log", r->dir);
        struct log_options options = {.target = LOG_TO_FILE,
                                      .format = LOG_AS_POSTFIX,
                                      .path = path,
                                      .name = "postfix",
                                      .hostname = "mx1"};
        struct why why;
        assert_int_equal(log_open(&options, &why), 0);
        findings_init(&r->findings);
        arena_init(&r->arena, 0);
}

/* What DNS says, as in dns_new_given(); before rig_load(). Each judgement asks anew. */
static inline void rig_dns(struct rig *r, const char *zone)
{
        struct why why = {""};
        r->dns = dns_new_given(str_from(zone), &why);
        if (!r->dns)
                fail_msg("%s", why.text);
}

/* Errors in the configuration are the test's to look at. */
static inline void rig_load(struct rig *r, const char *main_cf)
{
        rig_write(r, "main.cf", main_cf);
        r->config = config_load(r->dir, NULL, &r->findings);
        assert_non_null(r->config);
        r->tables = table_set_new(r->dir);
        r->policy = policy_new(r->config, &r->config->params, r->tables, r->dns, &r->findings);
}

static inline void rig_done(struct rig *r)
{
        policy_unref(&r->policy);
        dns_unref(&r->dns);
        table_set_free(&r->tables);
        config_unref(&r->config);
        findings_done(&r->findings);
        arena_done(&r->arena);
        char command[100];
        snprintf(command, sizeof(command), "rm -r %s", r->dir);
        assert_int_equal(system(command), 0);
}

/* What most tests stand on; their own lines come after it. */
#define RIG_MAIN_CF                                                                     \
        "compatibility_level = 3.6\n"                                                   \
        "myhostname = mx1.example.com\n"                                                \
        "myorigin = origin.example\n"                                                   \
        "mydestination = local.example\n"                                               \
        "inet_interfaces = 127.0.0.1\n"                                                 \
        "mynetworks = 127.0.0.0/8 10.0.0.0/24 [2001:db8:1::]/48\n"                      \
        "local_recipient_maps = inline:{bob=x}\n"                                       \
        "virtual_alias_domains = alias.example\n"                                       \
        "virtual_alias_maps = inline:{known@alias.example=bob@local.example}\n"         \
        "virtual_mailbox_domains = mailbox.example\n"                                   \
        "virtual_mailbox_maps = inline:{ann@mailbox.example=ann/}\n"                    \
        "relay_domains = relay.example\n"                                               \
        "relay_recipient_maps = inline:{user@relay.example=x, abuse@relay.example=x}\n" \
        "recipient_delimiter = +\n"

static inline struct smtp_address rig_address(struct rig *r, const char *text)
{
        struct smtp_address address = {{"", 0}, {"", 0}, {"", 0}};
        if (text[0])
                assert_int_equal(smtp_address_parse(str_from(text), &r->arena, &address), 0);
        return address;
}

static inline void rig_client(struct rig *r, const char *name, const char *address)
{
        r->facts.client_name = r->facts.reverse_client_name = str_from(name);
        r->facts.client_address = str_from(address);
        assert_true(network_address_parse(str_from(address), r->facts.client_bits));
}

/* A stranger with everything in order. */
static inline void rig_facts(struct rig *r, const char *from, const char *to)
{
        r->facts = (struct policy_facts){
                .protocol = STR("ESMTP"),
                .helo = STR("client.example"),
                .has_sender = true,
                .sender = rig_address(r, from),
                .recipient = rig_address(r, to),
        };
        rig_client(r, "client.example", "192.0.2.1");
}

/* "554 5.7.1 text", or "permit" */
static inline const char *rig_judge(struct rig *r, enum policy_event event)
{
        static char text[1000];
        r->facts.dns = r->dns ? dns_questions_new(r->dns) : NULL;
        struct policy_spf *own = r->facts.spf ? NULL : (r->facts.spf = policy_spf_new());
        policy_prefetch(r->policy, event, &r->facts);
        await_policy_judge(r->policy, event, &r->facts, &r->arena, &r->effects, &r->verdict);
        dns_questions_free(&r->facts.dns);
        if (own)
                policy_spf_free(&r->facts.spf);
        if (r->verdict.action == VERDICT_PERMIT)
                return "permit";
        snprintf(text, sizeof(text), "%d %s %.*s", r->verdict.reply.code, r->verdict.reply.enhanced,
                 STR_ARG(r->verdict.reply.text));
        return text;
}

static inline const char *rig_rcpt(struct rig *r, const char *from, const char *to)
{
        rig_facts(r, from, to);
        return rig_judge(r, POLICY_AT_RCPT);
}

#endif
