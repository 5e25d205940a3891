/* map_import.c - forepost map import: lists of domains and users become tables */
#include "bin/command.h"
#include "table/import.h"

enum { FLAG_DOMAINS = 1, FLAG_USERS = 2, FLAG_TRANSPORT = 4 };

static const struct args_flag import_flags[] = {
        {"--domains", FLAG_DOMAINS, "DOMAINS FILE: \"domain OK\", for relay_domains"},
        {"--users", FLAG_USERS,
         "DOMAINS USERS FILE: \"user@domain OK\", each user in each domain,\n"
         "                  for relay_recipient_maps"},
        {"--transport", FLAG_TRANSPORT,
         "DOMAINS NEXTHOP FILE: \"domain NEXTHOP\", for transport_maps"},
        {NULL, 0, NULL},
};

static void print_findings(const struct findings *findings)
{
        static char line[4096];
        for (const struct finding *f = findings->first; f; f = f->next) {
                finding_format(f, line, sizeof(line));
                fputs(line, stderr);
        }
}

/* Each user in each domain is seldom what is meant, and each address that nobody reads draws junk. */
static void warn_of_product(const struct table_import *import)
{
        if (import->users && import->users_count > 1 && import->domains_count > 1)
                fprintf(stderr,
                        "forepost: warning: %zu users in each of %zu domains are %zu addresses. If "
                        "not all of them exist, list those that do, as user@domain, in %s\n",
                        import->users_count, import->domains_count,
                        import->users_count * import->domains_count, import->users);
}

static void warn_of_built(const char *target)
{
        static const char *const suffixes[] = {"cdb", "lmdb"};
        for (size_t i = 0; i < 2; i++) {
                static char path[4096];
                snprintf(path, sizeof(path), "%s.%s", target, suffixes[i]);
                FILE *f = fopen(path, "r");
                if (!f)
                        continue;
                fclose(f);
                fprintf(stderr, "forepost: %s was made from this text: forepost map build %s:%s\n",
                        path, suffixes[i], target);
        }
}

static int run_import(const struct args *args)
{
        const char *const *words = args->words;
        bool is_long = args->flags != FLAG_DOMAINS;
        if ((args->flags != FLAG_DOMAINS && args->flags != FLAG_USERS &&
             args->flags != FLAG_TRANSPORT) ||
            args->word_count != (is_long ? 3 : 2)) {
                command_error("write one of: --domains DOMAINS FILE, --users DOMAINS USERS FILE, "
                              "--transport DOMAINS NEXTHOP FILE");
                return EXIT_USAGE;
        }
        struct table_import import = {
                .domains = words[0],
                .users = args->flags == FLAG_USERS ? words[1] : NULL,
                .value = args->flags == FLAG_TRANSPORT ? words[1] : "OK",
                .target = words[is_long ? 2 : 1],
        };
        struct findings findings;
        findings_init(&findings);
        int rc = table_import(&import, &findings);
        print_findings(&findings);
        findings_done(&findings);
        if (rc < 0) {
                command_error("nothing was changed");
                return EXIT_FAILED;
        }
        warn_of_product(&import);
        printf("%s: %zu added, %zu there already\n", import.target, import.added, import.found);
        if (import.added)
                warn_of_built(import.target);
        return EXIT_DONE;
}

const struct command command_map_import = {
        .group = "map",
        .name = "import",
        .operands = "--WHAT LIST... FILE",
        .summary = "Adds what is missing in FILE, the text of a table, from lists of names",
        .help = "Lists have one name a line. What FILE says already stays as it is: importing again\n"
                "changes nothing. A wrong line, or an entry with another value, is told, and then nothing\n"
                "is changed. A server that runs takes the new text by itself.\n",
        .flags = import_flags,
        .words_min = 2,
        .words_max = 3,
        .run = run_import,
};
