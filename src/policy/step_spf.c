/*
 * step_spf.c - SPF in the lists: reject_spf_fail and its kin, who is not asked about, and the fields for accepted mail
 *
 * A session keeps what was found out (struct policy_spf): one check for the HELO name and one for the sender, made anew
 * when these change. The mail's own networks and a core's relays are never asked about: SPF is about strangers.
 *
 * Replies: RFC 7208 8, enhanced codes X.7.23 and X.7.24 (RFC 7372).
 */
#include "policy/policy_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "message/authres.h"
#include "policy/spf/trace_field.h"

#include <stdlib.h>

/* ---- what a session remembers ---- */

struct memory {
        struct spf_check *check;
        char *key; /* of whom */
};

struct policy_spf {
        struct memory memories[2]; /* by enum spf_identity */
};

struct policy_spf *policy_spf_new(void)
{
        struct policy_spf *m = calloc(1, sizeof(*m));
        check(m);
        return m;
}

static void forget(struct memory *m)
{
        spf_check_free(&m->check);
        free(m->key);
        m->key = NULL;
}

void policy_spf_free(struct policy_spf **mp)
{
        struct policy_spf *m = *mp;
        if (!m)
                return;
        for (size_t i = 0; i < 2; i++)
                forget(&m->memories[i]);
        free(m);
        *mp = NULL;
}

/* The sender as SPF wants it: an address without a domain is nobody's. */
static struct str spf_sender(const struct policy_facts *facts, struct arena *arena)
{
        if (str_is_empty(facts->sender.text) || facts->sender.domain.len)
                return facts->sender.text;
        return arena_printf(arena, "%.*s@", STR_ARG(facts->sender.local));
}

static struct spf_check *check_new(const struct policy *p, const struct policy_facts *facts,
                                   enum spf_identity identity, struct arena *arena)
{
        struct spf_query query = {
                .helo = facts->helo,
                .sender = identity == SPF_HELO ? STR("") : spf_sender(facts, arena),
                .identity = identity,
                .receiver = p->params->outside_name,
                .now_s = clock_wall_us() / 1000000,
                .void_max = p->params->spf_void_lookup_limit,
                .deadline_ms = clock_mono_ms() + p->params->spf_time_limit,
        };
        memcpy(query.address, facts->client_bits, sizeof(query.address));
        return spf_check_new(p->dns, &query);
}

/* Waits for it; valid until these facts change. */
static const struct spf_outcome *await_outcome(const struct policy *p,
                                               const struct policy_facts *facts,
                                               enum spf_identity identity, struct arena *arena)
{
        struct memory *m = &facts->spf->memories[identity];
        struct str sender = identity == SPF_HELO ? STR("") : facts->sender.text;
        struct str key = arena_printf(arena, "%.*s\n%.*s\n%.*s", STR_ARG(facts->client_address),
                                      STR_ARG(facts->helo), STR_ARG(sender));
        if (!m->check || !str_eq(str_from(m->key), key)) {
                forget(m);
                m->key = strndup(key.ptr, key.len);
                check(m->key);
                m->check = check_new(p, facts, identity, arena);
        }
        return await_spf(m->check);
}

void policy_spf_prefetch(const struct policy *p, enum policy_event event,
                         const struct policy_facts *facts, const struct step *step)
{
        if (event == POLICY_AT_HELO && facts->helo.len)
                dns_ask(facts->dns, facts->helo, DNS_TXT);
        if (event == POLICY_AT_MAIL && facts->has_sender && facts->sender.domain.len)
                dns_ask(facts->dns, facts->sender.domain, DNS_TXT);
}

bool policy_wants_spf_fields(const struct policy *p)
{
        return p->params->spf_header_type != SPF_HEADER_NONE;
}

/* ---- exceptions ---- */

struct exception {
        const struct policy *policy;
        struct arena *arena;
        struct why *why;
        enum table_result result;
};

/* True: there is nothing more to ask. Patterns are asked for whole names and addresses only. */
static bool await_look(struct exception *e, struct str key, bool is_part)
{
        const struct policy *p = e->policy;
        struct str value;
        for (size_t i = 0; i < p->spf_exception_count && key.len; i++) {
                struct table *table = p->spf_exceptions[i];
                if (is_part && table_is_pattern(table))
                        continue;
                e->result = await_table_find(table, key, e->arena, &value, e->why);
                if (e->result != TABLE_NOT_FOUND)
                        return true;
        }
        return false;
}

static bool await_look_name(struct exception *e, struct str name)
{
        bool is_part = false;
        while (name.len) {
                if (await_look(e, name, is_part))
                        return true;
                ptrdiff_t dot = str_find(str_tail(name, 1), '.');
                if (dot < 0)
                        break;
                name = str_tail(name, (size_t)dot + (e->policy->access_has_parents ? 2 : 1));
                is_part = true;
        }
        return false;
}

static bool await_look_address(struct exception *e, struct str address)
{
        bool is_part = false;
        char separator = str_find(address, ':') >= 0 ? ':' : '.';
        for (;;) {
                if (await_look(e, address, is_part))
                        return true;
                ptrdiff_t end = str_find_last(address, separator);
                if (end <= 0)
                        return false;
                address = str_part(address, 0, (size_t)end);
                is_part = true;
        }
}

/* TABLE_FOUND: SPF is not asked about this client, or this sender. */
static enum table_result await_exception(const struct policy *p, const struct policy_facts *facts,
                                         struct arena *arena, struct why *why)
{
        const struct networks *ours[] = {&p->mynetworks, &p->core_relays};
        for (size_t i = 0; i < 2; i++) {
                enum table_result result =
                        await_networks_find(ours[i], facts->client_bits, arena, why);
                if (result != TABLE_NOT_FOUND)
                        return result;
        }
        struct exception e = {.policy = p, .arena = arena, .why = why, .result = TABLE_NOT_FOUND};
        if (await_look_address(&e, facts->client_address) ||
            await_look_name(&e, facts->client_name) || await_look_name(&e, facts->helo) ||
            await_look(&e, facts->sender.text, false))
                return e.result;
        await_look_name(&e, facts->sender.domain);
        return e.result;
}

/* ---- restrictions ---- */

/* Failed: *fate says with what the restriction ends. */
static const struct spf_outcome *await_judged(struct judge *j, enum spf_identity identity,
                                              enum outcome *fate)
{
        struct why why;
        *fate = OUTCOME_DUNNO;
        if (identity == SPF_MAIL_FROM && !j->facts->has_sender)
                return NULL;
        if (str_is_empty(j->facts->helo) && str_is_empty(j->facts->sender.text))
                return NULL;
        enum subject subject = identity == SPF_HELO ? SUBJECT_HELO : SUBJECT_SENDER;
        switch (await_exception(j->policy, j->facts, j->arena, &why)) {
        case TABLE_FOUND:
                return NULL;
        case TABLE_NOT_FOUND:
                break;
        case TABLE_ERROR:
                *fate = judge_fail_lookup(j, judge_subject_name(j, subject), &why);
                return NULL;
        }
        if (!j->policy->dns || !j->facts->spf) {
                why_set(&why, 0, "there is no DNS to ask for SPF");
                *fate = judge_fail_lookup(j, judge_subject_name(j, subject), &why);
                return NULL;
        }
        return await_outcome(j->policy, j->facts, identity, j->arena);
}

/* What is told to the client. What the DNS said about a failure is for our log alone. */
static struct str refusal_text(struct judge *j, const struct spf_outcome *o)
{
        struct str domain = str_part(o->domain, 0, 253);
        struct str client = j->facts->client_address;
        switch (o->result) {
        case SPF_FAIL: {
                struct str theirs = o->explanation;
                return arena_printf(j->arena,
                                    "SPF: %.*s does not permit %.*s to send for it%s%.*s%s%.*s",
                                    STR_ARG(domain), STR_ARG(client), theirs.len ? "; " : "",
                                    STR_ARG(theirs.len ? domain : theirs),
                                    theirs.len ? " says: " : "", STR_ARG(theirs));
        }
        case SPF_SOFTFAIL:
                return arena_printf(j->arena,
                                    "SPF: %.*s probably does not permit %.*s to send for it",
                                    STR_ARG(domain), STR_ARG(client));
        case SPF_PERMERROR:
                return arena_printf(j->arena, "SPF: the record of %.*s is in error: %.*s",
                                    STR_ARG(domain), STR_ARG(str_part(o->problem, 0, 200)));
        case SPF_TEMPERROR:
                log_info("smtpd", "SPF of %.*s: %.*s", STR_ARG(domain), STR_ARG(o->problem));
                return arena_printf(j->arena, "SPF: a look-up for %.*s failed", STR_ARG(domain));
        case SPF_NONE:
                return arena_printf(j->arena, "SPF: %.*s says nothing of who sends for it",
                                    STR_ARG(domain));
        case SPF_NEUTRAL:
        case SPF_PASS:
                break;
        }
        return STR("SPF");
}

/* For those who explain. */
static struct trace_look look_of(const struct spf_outcome *o)
{
        return (struct trace_look){.kind = "spf",
                                   .asked = o->domain,
                                   .said = o->problem,
                                   .result = spf_result_name(o->result)};
}

static enum outcome await_rule(struct judge *j, enum spf_identity identity, enum spf_result result,
                               bool defers)
{
        enum outcome fate;
        const struct spf_outcome *o = await_judged(j, identity, &fate);
        if (o) {
                const struct trace_look look = look_of(o);
                trace_look(j->facts->trace, &look);
        }
        if (!o || o->result != result)
                return fate;
        bool is_error = result == SPF_TEMPERROR || result == SPF_PERMERROR;
        int64_t code = defers ? j->params->spf_defer_code : j->params->spf_reject_code;
        const char *enhanced = is_error ? "5.7.24" : result == SPF_NONE ? "5.7.1" : "5.7.23";
        return judge_refuse_subject(j, o->is_helo ? SUBJECT_HELO : SUBJECT_SENDER, (int)code,
                                    enhanced, refusal_text(j, o));
}

#define RULE(name, identity, result, defers)                                \
        enum outcome await_##name(struct judge *j, const struct step *step) \
        {                                                                   \
                return await_rule(j, SPF_##identity, SPF_##result, defers); \
        }
RULE(reject_spf_fail, MAIL_FROM, FAIL, false)
RULE(reject_spf_softfail, MAIL_FROM, SOFTFAIL, false)
RULE(reject_spf_none, MAIL_FROM, NONE, false)
RULE(reject_spf_permerror, MAIL_FROM, PERMERROR, false)
RULE(defer_spf_softfail, MAIL_FROM, SOFTFAIL, true)
RULE(defer_spf_temperror, MAIL_FROM, TEMPERROR, true)
RULE(reject_spf_helo_fail, HELO, FAIL, false)
RULE(reject_spf_helo_softfail, HELO, SOFTFAIL, false)
RULE(reject_spf_helo_permerror, HELO, PERMERROR, false)
RULE(defer_spf_helo_temperror, HELO, TEMPERROR, true)
#undef RULE

/* ---- header fields ---- */

/* What the fields say is a step as well: no rule need have asked. `o` NULL: not asked, and `why_not`. */
static void note_fields(const struct policy *p, const struct policy_facts *facts,
                        const struct spf_outcome *o, const char *why_not, int64_t began_us)
{
        if (!facts->trace)
                return;
        const struct trace_look look = o ? look_of(o)
                                         : (struct trace_look){.kind = "spf",
                                                               .asked = facts->sender.text,
                                                               .result = why_not};
        const struct trace_note step = {
                .event = POLICY_AT_DATA,
                .list = STR("spf_header_type"),
                .source = policy_rule_name(config_place(p->config, "spf_header_type"),
                                           STR("spf_header_type"), facts->trace->arena),
                .outcome = "dunno",
                .took_us = clock_mono_us() - began_us,
                .looks = &look,
                .look_count = 1,
        };
        trace_note(facts->trace, &step);
}

void await_policy_spf_fields(struct policy *p, const struct policy_facts *facts,
                             struct arena *arena, struct buf *out)
{
        struct why why;
        bool has_name = facts->helo.len || facts->sender.text.len;
        if (!policy_wants_spf_fields(p) || !p->dns || !facts->spf || !has_name)
                return;
        int64_t began_us = clock_mono_us();
        switch (await_exception(p, facts, arena, &why)) {
        case TABLE_FOUND:
                note_fields(p, facts, NULL, "not asked: an exception", began_us);
                return;
        case TABLE_NOT_FOUND:
                break;
        case TABLE_ERROR:
                log_warning("cleanup", "spf_exception_maps: %s", why.text);
                note_fields(p, facts, NULL, "failed", began_us);
                return;
        }
        const struct spf_outcome *o = await_outcome(p, facts, SPF_MAIL_FROM, arena);
        note_fields(p, facts, o, NULL, began_us);
        struct spf_trace_facts trace = {
                .receiver = p->params->outside_name,
                .client_address = facts->client_address,
                .helo = facts->helo,
                .sender = facts->sender.text,
        };
        int type = (int)p->params->spf_header_type;
        if (type == SPF_HEADER_AUTHRES || type == SPF_HEADER_BOTH) {
                buf_append_str(out, STR("Authentication-Results: "));
                authres_put_value(out, p->params->authserv_id, 255);
                spf_put_resinfo(o, &trace, out);
                buf_append_str(out, STR("\r\n"));
        }
        if (type == SPF_HEADER_RECEIVED || type == SPF_HEADER_BOTH)
                spf_put_received_spf(o, &trace, out);
}

/* RFC 8601 5: what claims to be ours and came from outside is not. */
bool policy_is_forged_result(const struct policy *p, const struct policy_facts *facts,
                             struct str name, struct str value)
{
        static const struct str field = STR_INIT("Authentication-Results");
        if (!str_eq_nocase(str_trim(name), field) || str_is_empty(p->params->authserv_id))
                return false;
        struct arena arena;
        arena_init(&arena, 0);
        bool is_forged = authres_is_of(name, value, p->params->authserv_id, &arena);
        arena_done(&arena);
        return is_forged && !policy_is_mynetwork(p, facts->client_bits) &&
               (str_is_empty(p->params->core_relays) || !policy_lets_in(p, facts->client_bits));
}
