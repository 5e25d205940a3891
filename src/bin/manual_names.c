/* manual_names.c - the manual pages of the names that scripts call */
#include "bin/manual_page.h"
#include "bin/names.h"

struct option_text {
        const char *option;
        const char *text;
};

struct page {
        const char *name;
        const char *summary;
        const char *synopsis;
        const char *text;
        struct option_text options[32];
        const char *status;
};

#define POSTFIX_LIKE "Options, output and exit codes are those of Postfix's command of this name. "
#define DIRECTORY                                                                                 \
        {                                                                                         \
                "-c DIRECTORY", "the configuration directory; else $MAIL_CONFIG, /etc/forepost, " \
                                "/etc/postfix"                                                    \
        }

static const struct page pages[] = {
        {"sendmail",
         "gives a message to the server",
         "sendmail [OPTION...] [RECIPIENT...]",
         "Reads a message from standard input, up to its end or to a line with a dot alone, and submits it through "
         "the socket public_socket, under the name of the user who calls. " POSTFIX_LIKE
         "While no server runs, the message waits for it in maildrop/ in the queue's directory, with its id in mailq; the exit code "
         "is 75 when that may not be.\n"
         "\n"
         "Members of the group setgid_group may leave mail there, root, and the server's user. For all others, as in "
         "Postfix, the administrator makes that group and gives a copy of the program named sendmail to it, with the "
         "set-group-id bit: groupadd -r postdrop; install -g postdrop -m 2755 forepost /usr/sbin/sendmail; and, where the server has "
         "made the directory before, chgrp postdrop maildrop. The program lays the group's rights down at once and takes them up for "
         "that one file, and never with -C or $MAIL_CONFIG.\n"
         "\n"
         "From, Date and Message-ID are added where they are missing. Addresses without a domain get myorigin. Who "
         "may submit is said by authorized_submit_users. Options of sendmail that are not listed are known, and "
         "have no effect.",
         {{"-t",
           "recipients are taken from To, Cc and Bcc too; of a message sent on, from Resent-To and its kin"},
          {"-f SENDER, -r SENDER", "the envelope sender; <> is nobody"},
          {"-F NAME", "the full name, for a From that is missing; else $NAME, else the system's"},
          {"-i, -oi", "a line with a dot alone does not end the message"},
          {"-bm", "reads a message; the default"},
          {"-bs", "speaks SMTP on standard input and output"},
          {"-bv",
           "delivers nothing, and mails the sender a report on which recipients would take mail"},
          {"-v",
           "mails the sender a report on the first attempt for each recipient; given more than once: none"},
          {"-bp", "lists the queue, as mailq"},
          {"-bi, -I", "looks at the alias files, as newaliases"},
          {"-q", "has the queue tried; -qIID one message, -qRSITE those for a site"},
          {"-N WORDS", "when to tell the sender: never, or success, failure, delay"},
          {"-R WORD", "how much of a returned message: full or hdrs"},
          {"-V ID",
           "an envelope id for delivery reports; one of two characters is taken for -XV, as by Postfix"},
          {"-XV, -XVxy",
           "a sender of its own for each recipient, prefix+user=domain@origin, with default_verp_delimiters or these two; bounces "
           "come to it"},
          {"-B TYPE", "7BIT or 8BITMIME"},
          {"-C DIRECTORY", "the configuration directory, or its main.cf"},
          {"-bd, -bl, -qS", "not here; an error"}},
         "0 done; 64 wrong usage; 65 the message is refused as too large; 67 a recipient is refused as unknown; 69 "
         "refused; 75 try again later; 77 not permitted; 78 no configuration"},
        {"mailq",
         "lists the messages that wait",
         "mailq",
         POSTFIX_LIKE
         "Behind the id: * is being delivered, ! is on hold, # goes back to its sender (postsuper -e). Who may is said by "
         "authorized_mailq_users.",
         {{NULL, NULL}},
         "0 done; others as postqueue(1)"},
        {"newaliases",
         "looks at the alias files",
         "newaliases",
         "What alias_database names is made as by postalias(1); text is read by the server itself, so for hash: "
         "there is nothing to make.",
         {{NULL, NULL}},
         "0 done, 1 failed"},
        {"postmap",
         "asks look-up tables, and makes those that are compiled",
         "postmap [OPTION...] [TYPE:]FILE...",
         POSTFIX_LIKE
         "For hash:, btree: and texthash: the server reads the text, and notices when it changes: there is nothing "
         "to make, the text is looked at, and doubts are told. cdb: and lmdb: are made, whole or not at all.",
         {DIRECTORY,
          {"-q KEY", "looks KEY up; - reads keys from standard input"},
          {"-s", "prints all entries"},
          {"-h, -b", "with -q -: keys are the headers, or the lines of the body, of a message"},
          {"-f, -n, -N, -o, -p, -r, -u, -U, -v, -w", "known, and without effect"},
          {"-d, -i, -F, -m", "not here; an error"}},
         "0 done, or found; 1 failed, or not found"},
        {"postalias",
         "asks alias files, and makes those that are compiled",
         "postalias [OPTION...] [TYPE:]FILE...",
         POSTFIX_LIKE "The text is \"name: value\"; all else is as with postmap(1).",
         {DIRECTORY,
          {"-q NAME", "looks NAME up; - reads names from standard input"},
          {"-s", "prints all entries"}},
         "0 done, or found; 1 failed, or not found"},
        {"postqueue",
         "lists the queue, or has it tried",
         "postqueue -p | -j | -f | -i ID | -s SITE",
         POSTFIX_LIKE "Who may is said by authorized_mailq_users and authorized_flush_users.",
         {DIRECTORY,
          {"-p", "lists the queue; works without a server too, for who may read the directory"},
          {"-j", "lists it as JSON, one object a line"},
          {"-f", "has all messages tried now"},
          {"-i ID", "has one tried now"},
          {"-s SITE", "has those tried now that are for one domain or next hop"}},
         "0 done; 64 wrong usage; 65 bad id or site; 69 the server does not run; 77 not permitted"},
        {"postsuper",
         "deletes, gives up, holds, releases and queues anew",
         "postsuper [OPTION...] [QUEUE...]",
         POSTFIX_LIKE
         "For root and the user that the server runs as. An id of - reads ids from standard input; ALL "
         "is every message, or every one of the queues that are named: active, deferred, hold.",
         {DIRECTORY,
          {"-d ID", "deletes; nobody is told"},
          {"-e ID",
           "gives it up: it goes back to its sender when it is due; # stands behind its id in mailq. The "
           "bounce does not show why it waited"},
          {"-f ID", "the same, and releases from hold"},
          {"-h ID", "puts on hold"},
          {"-H ID", "releases from hold"},
          {"-r ID", "tries it as if it were new"},
          {"-p, -s, -S", "known, and without effect: the journal needs no mending"}},
         "0 done, 1 failed"},
        {"postconf",
         "shows and changes what main.cf and master.cf say",
         "postconf [OPTION...] [NAME...]",
         POSTFIX_LIKE
         "What is doubtful in the files is told on standard error; forepost check(1) tells all.",
         {DIRECTORY,
          {"-n", "only what main.cf sets"},
          {"-d", "defaults"},
          {"-x", "with $name replaced"},
          {"-h, -H", "values alone, names alone"},
          {"-f", "long lines folded"},
          {"-C CLASS", "builtin, service, user or all"},
          {"-o NAME=VALUE", "overrides main.cf"},
          {"-M, -P, -F",
           "lines of master.cf, their parameters, their fields; SERVICE/TYPE/... chooses"},
          {"-e NAME=VALUE, -X NAME, -# NAME", "changes main.cf: sets, removes, makes a comment of"},
          {"-Me SERVICE/TYPE=LINE, -MX SERVICE/TYPE, -M# SERVICE/TYPE",
           "the same with lines of master.cf; one that is not there is added"},
          {"-Pe SERVICE/TYPE/NAME=VALUE, -PX SERVICE/TYPE/NAME",
           "sets or removes an -o of a service"},
          {"-Fe SERVICE/TYPE/FIELD=VALUE",
           "sets a field of a service. Files are changed whole or not at all, "
           "and -e may be left out"},
          {"-b [FILE]",
           "the texts of notices, with $name replaced; of bounce_template_file or FILE, and where "
           "these say nothing our own"},
          {"-t [FILE]", "the same as templates: what to begin a bounce_template_file with"},
          {"-m", "the types of tables that there are"},
          {"-a, -l", "ways for clients to sign in, locks of mailboxes: there are none"},
          {"-A", "what smtp_sasl_type may be"},
          {"-T MODE", "of OpenSSL: compile-version, run-version or public-key-algorithms"}},
         "0 done, 1 failed"},
        {"postcat",
         "shows a message of the queue",
         "postcat -q ID...",
         "As \"forepost queue show\". There are no queue files that could be named.",
         {DIRECTORY, {"-q", "the words are ids"}},
         "0 done, 1 failed"},
        {"postlog",
         "writes lines of scripts into the mail log",
         "postlog [OPTION...] [TEXT...]",
         "Without TEXT each line of standard input is one. They go where maillog_file says.",
         {DIRECTORY,
          {"-p LEVEL", "info, warn, error, fatal or panic"},
          {"-t TAG", "who speaks, behind syslog_name"},
          {"-i, -v", "known, and without effect"}},
         "0 done, 1 failed"},
};

int manual_print_name(const char *name)
{
        for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
                const struct page *p = &pages[i];
                if (strcmp(p->name, name) != 0)
                        continue;
                roff_begin(p->name, 1, p->name, p->summary);
                roff_section("SYNOPSIS");
                roff_text(p->synopsis);
                roff_section("DESCRIPTION");
                roff_text(p->text);
                if (p->options[0].option)
                        roff_section("OPTIONS");
                for (const struct option_text *o = p->options; o->option; o++)
                        roff_item(o->option, o->text);
                roff_section("EXIT STATUS");
                roff_text(p->status);
                roff_section("SEE ALSO");
                roff_text("forepost(1), forepost.cf(5)");
                return 0;
        }
        return -1;
}
