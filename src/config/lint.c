/*
 * lint.c - what the configuration alone can tell
 *
 * Each check is a small function that knows one mistake, with the reason and the cure. None of them
 * asks a server or reads a table. What is found once in main.cf and again in a service that takes
 * it from there is one finding.
 */
#include "config/config_private.h"
#include "config/internal_mail.h"
#include "config/notify_classes.h"
#include "smtp/command.h"

#include <sys/stat.h>

static struct place place_of(const struct lint *l, const char *parameter)
{
        struct place at = config_place(l->config, parameter);
        return str_is_empty(at.file) ? (struct place){l->config->private->main_file, 0} : at;
}

static void warn(struct lint *l, const char *code, const char *parameter, const char *cure,
                 const char *text)
{
        findings_add(l->findings, SEVERITY_WARNING, code, place_of(l, parameter), cure, "%s", text);
}

/* ---- who we are ---- */

static bool is_host_name(struct str s)
{
        struct str rest = s;
        if (s.len > 255)
                return false;
        do {
                struct str label = str_cut(&rest, '.');
                if (label.len == 0 || label.len > 63 || label.ptr[0] == '-')
                        return false;
                for (size_t i = 0; i < label.len; i++)
                        if (!char_is_alnum(label.ptr[i]) && label.ptr[i] != '-' &&
                            label.ptr[i] != '_')
                                return false;
        } while (rest.len);
        return true;
}

static void lint_identity(struct lint *l)
{
        const struct params *p = l->params;
        if (!is_host_name(p->myhostname))
                findings_add(l->findings, SEVERITY_ERROR, "bad-host-name",
                             place_of(l, "myhostname"), "write a name like mx1.example.com",
                             "myhostname = %.*s is no host name", STR_ARG(p->myhostname));
        else if (str_find(p->myhostname, '.') < 0)
                warn(l, "bare-host-name", "myhostname", "write a name like mx1.example.com",
                     "myhostname has no domain: many servers refuse mail from such a name");
        struct str banner = p->smtpd_banner, word;
        str_next_word(&banner, " \t", &word);
        if (!str_eq_nocase(word, p->myhostname))
                warn(l, "banner-without-name", "smtpd_banner", "begin it with $myhostname",
                     "smtpd_banner does not begin with the server's name (RFC 5321 4.3.1)");
        if (p->soft_bounce)
                warn(l, "soft-bounce", "soft_bounce", "remove it when the trial is over",
                     "soft_bounce: nothing is refused for good; junk comes back for days");
}

/* ---- TLS ---- */

static void lint_tls(struct lint *l)
{
        const struct params *p = l->params;
        bool has_certificate = p->smtpd_tls_chain_files.len || p->smtpd_tls_cert_file.len ||
                               p->smtpd_tls_eccert_file.len || p->smtpd_tls_dcert_file.len;
        bool wants_tls = p->smtpd_tls_security_level > TLS_LEVEL_NONE || p->smtpd_tls_wrappermode;
        if (!wants_tls)
                warn(l, "no-tls-inbound", "smtpd_tls_security_level",
                     "set smtpd_tls_security_level = may and smtpd_tls_chain_files",
                     "no STARTTLS for clients: all mail comes in readable on the way");
        else if (!has_certificate)
                warn(l, "tls-without-certificate", "smtpd_tls_security_level",
                     "set smtpd_tls_chain_files", "TLS is offered without a certificate");
}

static void lint_tls_outbound(struct lint *l)
{
        if (l->params->smtp_tls_security_level <= TLS_LEVEL_NONE)
                warn(l, "no-tls-outbound", "smtp_tls_security_level",
                     "set smtp_tls_security_level = may, or encrypt towards servers of your own",
                     "no STARTTLS for outgoing mail: it leaves readable, also to the next hop");
        static const struct {
                const char *old, *now;
        } names[] = {{"smtpd_use_tls", "smtpd_tls_security_level = may"},
                     {"smtpd_enforce_tls", "smtpd_tls_security_level = encrypt"},
                     {"smtp_use_tls", "smtp_tls_security_level = may"},
                     {"smtp_enforce_tls", "smtp_tls_security_level = encrypt"},
                     {"smtp_tls_enforce_peername", "smtp_tls_security_level = verify"},
                     {"lmtp_use_tls", "lmtp_tls_security_level = may"},
                     {"lmtp_enforce_tls", "lmtp_tls_security_level = encrypt"},
                     {"lmtp_tls_enforce_peername", "lmtp_tls_security_level = verify"}};
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                if (config_is_set(l->config, names[i].old))
                        findings_add(l->findings, SEVERITY_NOTE, "old-parameter-name",
                                     config_place(l->config, names[i].old), NULL,
                                     "%s is an old name: today it is %s", names[i].old,
                                     names[i].now);
}

/* ---- addresses ---- */

static bool is_local_name(struct str host)
{
        return str_eq_nocase(host, STR("localhost")) || str_eq(host, STR("::1")) ||
               str_starts(host, STR("127."));
}

static bool is_ipv4(struct str host)
{
        for (size_t i = 0; i < host.len; i++)
                if (!char_is_digit(host.ptr[i]) && host.ptr[i] != '.')
                        return false;
        return host.len > 0;
}

/* Could this be reached by IPv6? A name may be anything. *is_public: strangers can reach it. */
static bool may_be_ipv6(struct str host, bool *is_public)
{
        if (str_starts(host, STR("[")))
                host = str_part(host, 1, host.len - 2);
        bool is_local = is_local_name(host) || str_eq_nocase(host, STR("loopback-only"));
        *is_public = *is_public || !is_local;
        return !is_local && !is_ipv4(host);
}

static void lint_listeners(struct lint *l)
{
        const struct config *c = l->config;
        bool has_listener = false, has_public = false, has_ipv6 = false;
        for (size_t i = 0; i < c->service_count; i++) {
                const struct service *s = &c->services[i];
                if (!s->is_inet)
                        continue;
                has_listener = true;
                struct str hosts = s->host.len ? s->host : s->params.inet_interfaces, host;
                bool is_ipv6 = false;
                while (config_list_next(&hosts, &host))
                        is_ipv6 = may_be_ipv6(host, &has_public) || is_ipv6;
                struct str protocols = s->params.inet_protocols;
                has_ipv6 = has_ipv6 || (is_ipv6 && (str_find_str(protocols, STR("all")) >= 0 ||
                                                    str_find_str(protocols, STR("ipv6")) >= 0));
        }
        if (!has_listener)
                findings_add(l->findings, SEVERITY_WARNING, "no-listener",
                             (struct place){c->private->master_file, 0},
                             "add: smtp inet n - n - - smtpd",
                             "no service listens: no mail can come in");
        else if (has_public && !has_ipv6)
                warn(l, "no-ipv6-listener", "inet_interfaces",
                     "add an IPv6 address to inet_interfaces, and ipv6 to inet_protocols",
                     "no listener on an IPv6 address: who has only IPv6 cannot send to us");
}

static void lint_protocols(struct lint *l)
{
        struct str rest = l->params->inet_protocols, item;
        size_t count = 0;
        for (; config_list_next(&rest, &item); count++)
                if (!str_eq_nocase(item, STR("all")) && !str_eq_nocase(item, STR("ipv4")) &&
                    !str_eq_nocase(item, STR("ipv6")))
                        findings_add(l->findings, SEVERITY_ERROR, "bad-value",
                                     place_of(l, "inet_protocols"), NULL,
                                     "inet_protocols = %.*s: allowed is all, ipv4 or ipv6",
                                     STR_ARG(item));
        if (!count)
                findings_add(l->findings, SEVERITY_ERROR, "bad-value",
                             place_of(l, "inet_protocols"), NULL,
                             "inet_protocols is empty: allowed is all, ipv4 or ipv6");
}

static void lint_mynetworks(struct lint *l)
{
        struct str style;
        bool is_set = config_is_set(l->config, "mynetworks");
        if (!config_text(l->config, STR("mynetworks_style"), CONFIG_EFFECTIVE_EXPANDED, &l->arena,
                         &style))
                return;
        if (is_set && config_is_set(l->config, "mynetworks_style"))
                findings_add(l->findings, SEVERITY_NOTE, "unused-style",
                             place_of(l, "mynetworks_style"), "remove one of the two",
                             "mynetworks is set, so mynetworks_style counts for nothing");
        if (!is_set && !str_eq_nocase(style, STR("host")))
                findings_add(l->findings, SEVERITY_WARNING, "trusts-neighbours",
                             place_of(l, "mynetworks_style"),
                             "set mynetworks, or mynetworks_style = host",
                             "mynetworks_style = %.*s: every machine in our networks may relay "
                             "(%.*s)",
                             STR_ARG(style), STR_ARG(l->params->mynetworks));
}

/* ---- which mail is whose ---- */

static bool names_domain(struct str item)
{
        return str_find(item, ':') < 0 && item.ptr[0] != '/' && item.ptr[0] != '!';
}

static void compare_classes(struct lint *l, const char *one_name, struct str one,
                            const char *two_name, struct str two)
{
        struct str item, other;
        while (config_list_next(&one, &item)) {
                struct str rest = two;
                while (item.len && names_domain(item) && config_list_next(&rest, &other))
                        if (str_eq_nocase(item, other))
                                findings_add(l->findings, SEVERITY_WARNING, "domain-twice",
                                             place_of(l, two_name), "keep it in one of the two",
                                             "%.*s is in %s and in %s; only the first counts",
                                             STR_ARG(item), one_name, two_name);
        }
}

static void lint_domains(struct lint *l)
{
        const struct params *p = l->params;
        const struct {
                const char *name;
                struct str value;
        } classes[] = {{"mydestination", p->mydestination},
                       {"virtual_alias_domains", p->virtual_alias_domains},
                       {"virtual_mailbox_domains", p->virtual_mailbox_domains},
                       {"relay_domains", p->relay_domains}};
        enum { CLASSES = sizeof(classes) / sizeof(classes[0]) };
        for (size_t i = 0; i < CLASSES; i++)
                for (size_t j = i + 1; j < CLASSES; j++)
                        if (config_is_set(l->config, classes[j].name))
                                compare_classes(l, classes[i].name, classes[i].value,
                                                classes[j].name, classes[j].value);

        bool has_relay_domains =
                config_is_set(l->config, "relay_domains") && !str_is_empty(p->relay_domains);
        bool verifies = str_find_str(p->smtpd_recipient_restrictions,
                                     STR("reject_unverified_recipient")) >= 0;
        if (has_relay_domains && str_is_empty(p->relay_recipient_maps) && !verifies)
                warn(l, "accepts-any-recipient", "relay_domains",
                     "set relay_recipient_maps, or let reject_unverified_recipient ask the core",
                     "relay_domains without relay_recipient_maps: mail to users that do not exist "
                     "is accepted, and bounces to forged senders");
        bool has_mailboxes = !str_is_empty(p->virtual_mailbox_domains);
        if (has_relay_domains && !has_mailboxes && !str_is_empty(p->virtual_alias_maps))
                warn(l, "aliases-at-the-edge", "virtual_alias_maps",
                     "keep aliases on the core, and list the alias in relay_recipient_maps",
                     "virtual_alias_maps replaces recipients here, before the core sees them: its "
                     "own aliases and rules for that address no longer apply");
        bool is_refused = str_starts(p->local_transport, STR("error")) ||
                          str_starts(p->local_transport, STR("discard"));
        if (!str_is_empty(p->mydestination) && config_is_set(l->config, "local_recipient_maps") &&
            str_is_empty(p->local_recipient_maps) && !is_refused)
                warn(l, "accepts-any-recipient", "local_recipient_maps",
                     "set local_recipient_maps, or mydestination to nothing",
                     "local_recipient_maps is empty: mail to users that do not exist is accepted, "
                     "and bounces to forged senders");
        if (config_is_set(l->config, "mydestination") && !str_is_empty(p->mydestination) &&
            !config_is_set(l->config, "local_transport") && is_refused)
                warn(l, "no-local-delivery", "mydestination",
                     "set mailbox_transport to a server that has these users, name them in alias_maps "
                     "or virtual_alias_maps, or use virtual_mailbox_domains",
                     "mail for mydestination is refused, but for aliases: there is no delivery to "
                     "system users");
        if (!str_is_empty(p->mailbox_transport) && !config_is_set(l->config, "forward_path"))
                findings_add(
                        l->findings, SEVERITY_NOTE, "forward-not-read",
                        place_of(l, "mailbox_transport"),
                        "let the server behind it forward (Sieve), or use alias_maps",
                        "mailbox_transport: ~/.forward files, which Postfix follows first, are "
                        "not read");
        if (p->allow_untrusted_routing)
                warn(l, "untrusted-routing", "allow_untrusted_routing", "remove it",
                     "allow_untrusted_routing: strangers can relay through our domains by "
                     "user@elsewhere@our.domain");
}

/* ---- the session ---- */

static void lint_bcc(struct lint *l)
{
        struct str bcc = l->params->always_bcc;
        for (size_t i = 0; i < bcc.len; i++)
                if (strchr(" \t\r\n,<>()\"", bcc.ptr[i])) {
                        findings_add(l->findings, SEVERITY_ERROR, "bad-value",
                                     place_of(l, "always_bcc"),
                                     "name one address; an alias can stand for more",
                                     "always_bcc = %.*s: this is not one address", STR_ARG(bcc));
                        return;
                }
}

static void lint_session(struct lint *l)
{
        const struct params *p = l->params;
        if (!p->disable_vrfy_command)
                findings_add(l->findings, SEVERITY_NOTE, "vrfy-on",
                             place_of(l, "disable_vrfy_command"), "set disable_vrfy_command = yes",
                             "VRFY is answered: it tells strangers which addresses exist");
        const struct map_slot *slot;
        for (size_t i = 0; !p->smtpd_helo_required && (slot = map_next(&l->seen, &i));) {
                struct str keyword = str_make(slot->key, slot->key_len);
                if (!str_starts(keyword, STR("check_helo")) &&
                    !(str_starts(keyword, STR("reject_")) &&
                      (str_ends(keyword, STR("helo_hostname")) ||
                       str_eq(keyword, STR("reject_invalid_hostname")) ||
                       str_eq(keyword, STR("reject_non_fqdn_hostname")))))
                        continue;
                warn(l, "helo-not-required", "smtpd_helo_required", "set smtpd_helo_required = yes",
                     "HELO names are checked, but who does not say HELO at all passes");
                break;
        }
}

static void lint_notify(struct lint *l)
{
        struct str unknown;
        notify_classes(l->params->notify_classes, &unknown);
        if (unknown.len)
                findings_add(l->findings, SEVERITY_ERROR, "bad-value",
                             place_of(l, "notify_classes"), NULL,
                             "notify_classes = %.*s: allowed is bounce, 2bounce, data, delay, "
                             "policy, protocol, resource and software",
                             STR_ARG(unknown));
}

static void lint_internal_mail(struct lint *l)
{
        static const char name[] = "internal_mail_filter_classes";
        const struct params *p = l->params;
        struct str unknown;
        unsigned classes = internal_mail_classes(p->internal_mail_filter_classes, &unknown);
        if (unknown.len)
                findings_add(
                        l->findings, SEVERITY_ERROR, "bad-value", place_of(l, name), NULL,
                        "%s = %.*s: allowed is bounce, notify, forward, qmqpd, sendmail, smtpd "
                        "and verify",
                        name, STR_ARG(unknown));
        if (classes && !str_is_empty(p->non_smtpd_milters))
                warn(l, "own-mail-not-filtered", name,
                     "header_checks and body_checks do see it; leave non_smtpd_milters to mail that "
                     "is submitted",
                     "mail of our own is not shown to non_smtpd_milters");
}

static void lint_verp(struct lint *l)
{
        const struct params *p = l->params;
        if (!smtp_verp_is_valid(p->default_verp_delimiters, p->verp_delimiter_filter))
                findings_add(l->findings, SEVERITY_ERROR, "bad-value",
                             place_of(l, "default_verp_delimiters"), "write +=, or leave it out",
                             "default_verp_delimiters = %.*s: it needs two characters from %.*s "
                             "(verp_delimiter_filter)",
                             STR_ARG(p->default_verp_delimiters),
                             STR_ARG(p->verp_delimiter_filter));
}

static void lint_schedule(struct lint *l)
{
        const struct params *p = l->params;
        lint_notify(l);
        lint_internal_mail(l);
        lint_verp(l);
        if (p->minimal_backoff_time > p->maximal_backoff_time)
                warn(l, "backoff-order", "minimal_backoff_time",
                     "make minimal_backoff_time the smaller one",
                     "minimal_backoff_time is longer than maximal_backoff_time");
        if (p->maximal_queue_lifetime && p->delay_warning_time > p->maximal_queue_lifetime)
                warn(l, "late-warning", "delay_warning_time",
                     "make it shorter than maximal_queue_lifetime",
                     "delay_warning_time is longer than mail is kept: nobody is ever told");
        if (p->maximal_queue_lifetime && p->maximal_queue_lifetime < p->minimal_backoff_time)
                warn(l, "short-lifetime", "maximal_queue_lifetime",
                     "make it longer than minimal_backoff_time",
                     "maximal_queue_lifetime ends before mail is tried a second time");
}

/* ---- limits that contradict each other ---- */

static void lint_limits(struct lint *l)
{
        const struct params *p = l->params;
        if (p->smtpd_soft_error_limit > p->smtpd_hard_error_limit)
                warn(l, "limits-conflict", "smtpd_soft_error_limit",
                     "make it smaller than smtpd_hard_error_limit",
                     "smtpd_soft_error_limit is over smtpd_hard_error_limit: no client is ever slowed "
                     "down before it is cut off");
        if (p->default_process_limit &&
            p->smtpd_client_connection_count_limit > p->default_process_limit)
                warn(l, "limits-conflict", "smtpd_client_connection_count_limit",
                     "make it a half of default_process_limit, or less",
                     "smtpd_client_connection_count_limit is over default_process_limit: one client "
                     "may take all places");
        if (p->network_connection_count_limit &&
            p->network_connection_count_limit < p->smtpd_client_connection_count_limit)
                warn(l, "limits-conflict", "network_connection_count_limit",
                     "make it larger than smtpd_client_connection_count_limit",
                     "network_connection_count_limit is under smtpd_client_connection_count_limit: one "
                     "client may take all places of its network");
        if (p->default_destination_concurrency_limit &&
            p->initial_destination_concurrency > p->default_destination_concurrency_limit)
                warn(l, "limits-conflict", "initial_destination_concurrency",
                     "make it default_destination_concurrency_limit, or less",
                     "initial_destination_concurrency is over default_destination_concurrency_limit: "
                     "no destination begins with so many");
        if (p->smtpd_recipient_limit < 100)
                warn(l, "low-limit", "smtpd_recipient_limit", "write 100 or more",
                     "smtpd_recipient_limit is under the 100 that a client may count on (RFC 5321 "
                     "4.5.3.1.8)");
        if (p->message_size_limit && p->header_size_limit > p->message_size_limit)
                warn(l, "limits-conflict", "header_size_limit", "make it smaller",
                     "header_size_limit is over message_size_limit");
        if (!str_is_empty(p->virtual_mailbox_domains) && p->virtual_mailbox_limit &&
            p->virtual_mailbox_limit < p->message_size_limit)
                warn(l, "limits-conflict", "virtual_mailbox_limit",
                     "make it larger than message_size_limit, or 0",
                     "virtual_mailbox_limit is under message_size_limit: a message that is accepted "
                     "may fit into no mailbox");
        if (p->queue_minfree && p->message_size_limit &&
            p->queue_minfree < p->message_size_limit + p->message_size_limit / 2)
                warn(l, "limits-conflict", "queue_minfree",
                     "make it at least one and a half of message_size_limit, or 0",
                     "queue_minfree leaves no room for a message of message_size_limit");
}

/* ---- paths ---- */

static const char *const path_names[] = {"command_directory",   "daemon_directory", "sendmail_path",
                                         "newaliases_path",     "mailq_path",       "maillog_file",
                                         "virtual_mailbox_base"};
enum { PATHS = sizeof(path_names) / sizeof(path_names[0]) };

/* The directory that a path parameter needs, when it is set and is a path. */
static bool find_directory(struct lint *l, const char *name, struct str *directory)
{
        struct str value;
        if (!config_is_set(l->config, name) ||
            !config_text(l->config, str_from(name), CONFIG_EFFECTIVE_EXPANDED, &l->arena, &value) ||
            !str_starts(value, STR("/")))
                return false;
        if (str_ends(str_from(name), STR("_path")) || str_ends(str_from(name), STR("_file")))
                value = str_part(value, 0, (size_t)str_find_last(value, '/'));
        *directory = arena_str(&l->arena, value);
        return !str_is_empty(value);
}

static bool is_directory(struct str path)
{
        struct stat st;
        return stat(path.ptr, &st) == 0 && S_ISDIR(st.st_mode);
}

/* How many path parameters name this directory. */
static unsigned count_users(struct lint *l, struct str directory)
{
        unsigned count = 0;
        struct str other;
        for (size_t i = 0; i < PATHS; i++)
                count += find_directory(l, path_names[i], &other) && str_eq(other, directory);
        return count;
}

/* A directory that another parameter names nearly so, and that is more likely the right one. */
static const char *likely_path(struct lint *l, struct str directory)
{
        struct str other;
        for (size_t i = 0; i < PATHS; i++) {
                if (!find_directory(l, path_names[i], &other) || str_eq(other, directory) ||
                    text_distance(directory, other, 2) > 2)
                        continue;
                if (is_directory(other) || count_users(l, other) > count_users(l, directory))
                        return arena_printf(&l->arena, "did you mean %.*s, as in %s?",
                                            STR_ARG(other), path_names[i])
                                .ptr;
        }
        return "make it, or mend the path";
}

/* Lists of bad addresses refuse the questions of resolvers that the whole world shares. */
static bool is_public_resolver(struct str server)
{
        static const char *const public[] = {
                "8.8.8.8",        "8.8.4.4",         "2001:4860:4860::8888", "2001:4860:4860::8844",
                "1.1.1.1",        "1.0.0.1",         "2606:4700:4700::1111", "2606:4700:4700::1001",
                "9.9.9.9",        "149.112.112.112", "2620:fe::fe",          "208.67.222.222",
                "208.67.220.220", "2620:119:35::35", "2620:119:53::53",
        };
        struct str address = str_cut(&server, '@');
        for (size_t i = 0; i < sizeof(public) / sizeof(*public); i++)
                if (str_eq_nocase(address, str_from(public[i])))
                        return true;
        return false;
}

static void lint_dns(struct lint *l)
{
        struct str rest = l->params->dns_forward, server;
        while (config_list_next(&rest, &server))
                if (is_public_resolver(server))
                        findings_add(
                                l->findings, SEVERITY_WARNING, "public-resolver",
                                place_of(l, "dns_forward"),
                                "leave dns_forward empty: we ask the name servers ourselves",
                                "dns_forward: %.*s is a public resolver, whose questions many block "
                                "lists refuse",
                                STR_ARG(server));
        if (!l->params->dns_validation)
                findings_add(
                        l->findings, SEVERITY_NOTE, "no-dnssec", place_of(l, "dns_validation"),
                        "remove dns_validation, or name the private zones in dns_insecure_zones",
                        "dns_validation = no: forged answers of signed zones are believed");
}

static void lint_environment(struct lint *l)
{
        struct str rest = l->params->import_environment, item;
        while (config_list_next(&rest, &item))
                if (str_starts(str_trim(item), STR("=")))
                        findings_add(l->findings, SEVERITY_ERROR, "bad-value",
                                     place_of(l, "import_environment"), "write NAME=VALUE",
                                     "import_environment: \"%.*s\" has no name",
                                     STR_ARG(str_trim(item)));
}

static void lint_paths(struct lint *l)
{
        struct str directory;
        if (l->config->private->machine.is_fixed)
                return;
        for (size_t i = 0; i < PATHS; i++)
                if (find_directory(l, path_names[i], &directory) && !is_directory(directory))
                        findings_add(l->findings, SEVERITY_WARNING, "no-such-directory",
                                     place_of(l, path_names[i]), likely_path(l, directory),
                                     "%s: no such directory: %.*s", path_names[i],
                                     STR_ARG(directory));
}

void config_lint(const struct config *c, struct findings *findings)
{
        struct lint l = {.config = c, .params = &c->params, .findings = findings};
        arena_init(&l.arena, 0);
        map_init(&l.seen);
        lint_identity(&l);
        lint_tls_outbound(&l);
        lint_protocols(&l);
        lint_mynetworks(&l);
        lint_domains(&l);
        lint_bcc(&l);
        lint_schedule(&l);
        lint_limits(&l);
        lint_environment(&l);
        lint_paths(&l);
        lint_dns(&l);
        lint_lists(&l);
        for (size_t i = 0; i < c->service_count; i++)
                if (c->services[i].is_inet) {
                        l.params = &c->services[i].params;
                        lint_lists(&l);
                        lint_tls(&l);
                        lint_session(&l);
                        lint_verp(&l);
                        lint_balancers(&l, &c->services[i]);
                }
        l.params = &c->params;
        lint_proxy_filters(&l);
        lint_codes(&l);
        lint_listeners(&l);
        lint_screen(&l);
        map_done(&l.seen);
        arena_done(&l.arena);
}
