/*
 * client_name.c - what is the client called? (smtpd_peername_lookup; Postfix: smtpd_peer)
 *
 * The name that its address points to is its reverse name; it is its name when it also has that address. All names that
 * it points to are asked at once and the first that agrees is taken. Meanwhile the block lists are being asked.
 */
#include "base/clock.h"
#include "base/log.h"
#include "session/session_private.h"

enum { NAMES_MAX = 10 };

static bool is_ipv4(const unsigned char bits[16])
{
        static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        return memcmp(bits, mapped, sizeof(mapped)) == 0;
}

/* One that looks like an address could pass for one in access tables. */
static bool is_good_name(struct str name)
{
        unsigned char bits[16];
        return smtp_domain_is_valid(name) && !network_address_parse(name, bits);
}

static bool has_address(const struct dns_answer *a, const unsigned char bits[16])
{
        for (size_t i = 0; i < a->count; i++)
                if (memcmp(a->records[i].address, bits, 16) == 0)
                        return true;
        return false;
}

static void set_unknown(struct policy_facts *f, enum client_name_status status)
{
        f->client_name = f->reverse_client_name = STR("unknown");
        f->client_name_status = f->reverse_client_name_status = status;
}

/* Sets the name, when one of those that `ptr` has leads back. */
static void await_verify(struct policy_facts *f, const struct dns_answer *ptr)
{
        enum dns_type type = is_ipv4(f->client_bits) ? DNS_A : DNS_AAAA;
        const char *trouble = NULL;
        for (size_t i = 0; i < ptr->count && i < NAMES_MAX; i++)
                if (is_good_name(ptr->records[i].name))
                        dns_ask(f->dns, ptr->records[i].name, type);
        f->client_name_status = CLIENT_NAME_FORGED;
        for (size_t i = 0; i < ptr->count && i < NAMES_MAX; i++) {
                struct str name = ptr->records[i].name;
                if (!is_good_name(name))
                        continue;
                const struct dns_answer *a = await_dns(f->dns, name, type, CLOCK_NEVER);
                if (has_address(a, f->client_bits)) {
                        f->client_name = name;
                        f->client_name_status = CLIENT_NAME_OK;
                        return;
                }
                if (a->result == DNS_FAILED) {
                        f->client_name_status = CLIENT_NAME_TEMPORARY;
                        trouble = a->why;
                }
        }
        log_warning("smtpd", "hostname %.*s does not resolve to address %.*s%s%s",
                    STR_ARG(f->reverse_client_name), STR_ARG(f->client_address),
                    trouble ? ": " : "", trouble ? trouble : "");
}

static struct str reverse_of(const struct policy_facts *f, char out[DNS_NAME_BYTES_MAX])
{
        struct str zone = is_ipv4(f->client_bits) ? STR("in-addr.arpa") : STR("ip6.arpa");
        return dns_reverse(f->client_bits, zone, out);
}

void await_session_client_name(struct session *s)
{
        struct policy_facts *f = &s->facts;
        char name[DNS_NAME_BYTES_MAX];
        if (!s->params->smtpd_peername_lookup || !f->dns)
                return;
        /* this one and the lists' are under way together */
        dns_ask(f->dns, reverse_of(f, name), DNS_PTR);
        policy_prefetch(s->policy, POLICY_AT_CONNECT, f);
        const struct dns_answer *ptr = await_dns(f->dns, reverse_of(f, name), DNS_PTR, CLOCK_NEVER);
        if (ptr->result != DNS_FOUND) {
                set_unknown(f,
                            ptr->result == DNS_FAILED ? CLIENT_NAME_TEMPORARY : CLIENT_NAME_NONE);
                return;
        }
        set_unknown(f, CLIENT_NAME_NONE);
        for (size_t i = 0; i < ptr->count && i < NAMES_MAX; i++) {
                if (!is_good_name(ptr->records[i].name))
                        continue;
                f->reverse_client_name = ptr->records[i].name;
                f->reverse_client_name_status = CLIENT_NAME_OK;
                await_verify(f, ptr);
                return;
        }
}
