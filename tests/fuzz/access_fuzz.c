/*
 * access_fuzz.c - what an access table says, as await_access_act() takes it: an action, a code, or restrictions
 *
 * Input: a byte that chooses the event and whom the rule is about, then the value. What waits for a clock or a server
 * (sleep, check_policy_service) is left out: nothing here has a loop.
 */
#include "fuzz.h"

#include "base/log.h"
#include "config/config_private.h"
#include "policy/policy_private.h"

static struct policy *policy;

static void start(void)
{
        static struct findings findings;
        static const char main_cf[] =
                "compatibility_level = 3.6\n"
                "mydestination =\n"
                "mynetworks = 192.0.2.0/28\n"
                "relay_domains = relay.test\n"
                "relay_recipient_maps = inline:{user@relay.test=x}\n"
                "smtpd_restriction_classes = one, two\n"
                "one = reject_unauth_destination, two\n"
                "two = check_client_access inline:{{a.test = REJECT}}, permit_mynetworks\n";
        struct config_source source = {
                .dir = STR("/nowhere"),
                .main_text = str_from(main_cf),
                .has_fixed_machine = true,
        };
        struct log_options log = {
                .target = LOG_TO_FILE, .path = "/dev/null", .name = "fuzz", .hostname = "fuzz"};
        struct why why;
        check(log_open(&log, &why) == 0);
        findings_init(&findings);
        struct config *config = config_read(&source, &findings);
        check(config);
        struct table_set *tables = table_set_new("/nowhere");
        policy = policy_new(config, &config->params, tables, NULL, &findings);
}

static bool waits(struct str text)
{
        static const char *const words[] = {"sleep", "service"};
        for (size_t i = 0; i + 5 <= text.len; i++)
                for (size_t word = 0; word < 2; word++)
                        if (str_starts_nocase(str_tail(text, i), str_from(words[word])))
                                return true;
        return false;
}

static bool is_one_line(struct str text)
{
        return str_find(text, '\r') < 0 && str_find(text, '\n') < 0;
}

static void check_effects(const struct policy_effects *e)
{
        check(!e->filter.len || policy_filter_is_valid(e->filter));
        check(!e->redirect.text.len || e->redirect.domain.len);
        for (size_t i = 0; i < e->bcc_count; i++)
                check(e->bcc[i].domain.len);
        for (size_t i = 0; i < e->prepended_count; i++)
                check(is_one_line(e->prepended[i]) && str_find(e->prepended[i], ':') > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const struct step step = {.argument = STR_INIT("inline:{x}")};
        struct str text = fuzz_str(data, size);
        unsigned choice = fuzz_byte(&text);
        enum subject subject = (enum subject)(choice % (SUBJECT_ETRN + 1));
        struct policy_effects effects = {.is_held = false};
        struct verdict verdict = {.action = VERDICT_PERMIT};
        struct arena arena;
        if (!policy)
                start();
        if (waits(text))
                return 0;
        arena_init(&arena, 0);
        struct policy_facts facts = {
                .client_name = STR("a.test"),
                .reverse_client_name = STR("a.test"),
                .client_address = STR("192.0.2.77"),
                .client_bits = {[10] = 255, 255, 192, 0, 2, 77},
                .protocol = STR("ESMTP"),
                .helo = STR("a.test"),
                .has_sender = true,
                .sender = smtp_address_make(STR("s"), STR("b.test"), &arena),
                .recipient = smtp_address_make(STR("user"), STR("relay.test"), &arena),
        };
        struct judge judge = {
                .policy = policy,
                .params = policy->params,
                .facts = &facts,
                .event = (enum policy_event)(choice / 16 % (POLICY_AT_VRFY + 1)),
                .arena = &arena,
                .effects = &effects,
                .out = &verdict,
                .subject = subject,
                .step = &step,
                .key = STR("a.test"),
        };
        enum outcome outcome = await_access_act(&judge, &step, subject, text);
        check((outcome == OUTCOME_REFUSE) == (verdict.action == VERDICT_REFUSE));
        if (outcome == OUTCOME_REFUSE) {
                check(verdict.reply.code >= 400 && verdict.reply.code <= 599);
                check(verdict.reply.enhanced &&
                      verdict.reply.enhanced[0] == '0' + verdict.reply.code / 100);
        }
        check_effects(&effects);
        arena_done(&arena);
        return 0;
}
