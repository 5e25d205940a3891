/*
 * queue_move.c - forepost queue verify, export, import: a queue that no server has open
 *
 * They work as the user whom the files belong to (mail_owner), as the server does.
 */
#include "bin/queue.h"
#include "ops/identity.h"
#include "spool/move.h"

#include <unistd.h>

enum { UNDO = 1, FINISH = 2, ABORT = 4 };

/* ---- who, and where ---- */

static void print_findings(struct findings *findings)
{
        static char line[4096];
        for (const struct finding *f = findings->first; f; f = f->next) {
                finding_format(f, line, sizeof(line));
                fputs(line, stderr);
        }
        findings_done(findings);
}

/* Becomes the queue's user; `makes`: the directory is made when it is missing. */
static struct config *begin(const struct args *args, bool makes,
                            char directory[QUEUE_DIRECTORY_BYTES_MAX])
{
        struct config *c = command_config_load(args);
        if (!c)
                return NULL;
        struct findings findings;
        struct identity owner;
        struct why why = {""};
        findings_init(&findings);
        int rc = identity_find(c, &owner, &findings);
        if (rc == 0 && makes)
                queue_directory_make(c, &owner, &findings);
        if (rc == 0 && owner.drops && (rc = identity_become(&owner, &why)) < 0)
                command_error("%s", why.text);
        print_findings(&findings);
        if (rc < 0) {
                config_unref(&c);
                return NULL;
        }
        queue_directory_find(c, directory);
        return c;
}

static int fail(int rc, const struct why *why)
{
        command_error("%s%s", why->text, rc == -EWOULDBLOCK ? " (\"forepost stop\")" : "");
        return EXIT_FAILED;
}

/* ---- verify ---- */

static int run_verify(const struct args *args)
{
        char directory[QUEUE_DIRECTORY_BYTES_MAX];
        struct config *c = begin(args, false, directory);
        if (!c)
                return EXIT_FAILED;
        config_unref(&c);
        struct spool_moved m;
        struct why why = {""};
        int rc = spool_verify(str_from(directory), &m, &why);
        if (rc < 0)
                return fail(rc, &why);
        printf("%zu messages of %lld bytes in %zu segments are sound\n", m.messages,
               (long long)m.bytes, m.segments);
        if (m.staged)
                printf("%zu of them are of an import that was not finished\n", m.staged);
        if (m.damaged)
                printf("%zu places are damaged\n", m.damaged);
        return m.damaged ? EXIT_FAILED : EXIT_DONE;
}

const struct command command_queue_verify = {
        .group = "queue",
        .name = "verify",
        .operands = "",
        .summary = "Reads the whole queue of a server that does not run, and checks it",
        .help = "Every record, envelope and content against its checksum. Nothing is changed. What is damaged is named on\n"
                "standard error, and the exit code is 1.\n",
        .flags = command_no_flags,
        .run = run_verify,
};

/* ---- export ---- */

static int export_all(const char *directory)
{
        struct spool_moved m;
        struct why why = {""};
        if (isatty(STDOUT_FILENO)) {
                command_error(
                        "the stream goes to standard output: redirect it into a file, or to the other host's "
                        "\"forepost queue import\"");
                return EXIT_USAGE;
        }
        int rc = spool_export(str_from(directory), STDOUT_FILENO, &m, &why);
        if (rc < 0)
                return fail(rc, &why);
        fprintf(stderr, "%zu messages, receipt %s\n", m.messages, m.receipt);
        if (m.damaged)
                command_error("%zu damaged places stay where they are", m.damaged);
        return m.damaged ? EXIT_FAILED : EXIT_DONE;
}

static int run_export(const struct args *args)
{
        char directory[QUEUE_DIRECTORY_BYTES_MAX];
        struct why why = {""};
        struct config *c = begin(args, false, directory);
        if (!c)
                return EXIT_FAILED;
        config_unref(&c);
        const char *receipt = args_value(args, FINISH);
        if (!receipt && !(args->flags & UNDO))
                return export_all(directory);
        int rc = receipt ? spool_export_finish(str_from(directory), str_from(receipt), &why)
                         : spool_export_undo(str_from(directory), &why);
        if (rc < 0)
                return fail(rc, &why);
        fprintf(stderr, receipt ? "the queue is empty\n" : "the queue may be served again\n");
        return EXIT_DONE;
}

static const struct args_flag export_flags[] = {
        {"--finish", FINISH, "empties this queue; the receipt is what the import printed",
         "RECEIPT"},
        {"--undo", UNDO, "the import came to nothing: this queue may be served again", NULL},
        {NULL, 0, NULL, NULL},
};

const struct command command_queue_export = {
        .group = "queue",
        .name = "export",
        .operands = "",
        .summary =
                "Writes the queue of a server that does not run to standard output, for another host",
        .help = "    old host   forepost queue drain; forepost stop\n"
                "               forepost queue export | ssh new-host forepost queue import\n"
                "    new host   prints a receipt; then start the server there\n"
                "    old host   forepost queue export --finish RECEIPT\n"
                "Once exported, a queue is not served here any more until --undo or --finish, so that no message is delivered\n"
                "on both hosts. Whatever was cut short may be done again.\n",
        .flags = export_flags,
        .run = run_export,
};

/* ---- import ---- */

static int run_import(const struct args *args)
{
        char directory[QUEUE_DIRECTORY_BYTES_MAX];
        struct spool_moved m = {0};
        struct why why = {""};
        struct config *c = begin(args, true, directory);
        if (!c)
                return EXIT_FAILED;
        const struct params *p = &c->params;
        const struct spool_options options = {
                .directory = str_from(directory),
                .segment_bytes = p->spool_segment_size,
                .large_bytes = p->large_message_threshold,
                .hot_bytes_max = 0,
                .free_bytes_min = p->queue_minfree,
        };
        bool aborts = args->flags & ABORT;
        int rc = aborts ? spool_import_abort(&options, &m, &why)
                        : spool_import(&options, STDIN_FILENO, &m, &why);
        config_unref(&c);
        if (rc < 0) {
                fail(rc, &why);
                if (rc == -EBADMSG)
                        command_error(
                                "nothing of it is delivered; import it again, or forget it with --abort");
                return EXIT_FAILED;
        }
        if (aborts)
                printf("%zu messages of imports that were not finished are deleted\n", m.messages);
        else
                printf("%zu messages, %zu of them were here before; receipt %s\n", m.messages,
                       m.known, m.receipt);
        return EXIT_DONE;
}

static const struct args_flag import_flags[] = {
        {"--abort", ABORT, "deletes what imports that were cut short have left", NULL},
        {NULL, 0, NULL, NULL},
};

const struct command command_queue_import = {
        .group = "queue",
        .name = "import",
        .operands = "",
        .summary = "Takes in a queue from standard input, while the server does not run",
        .help = "All messages of the stream count, or none: when it breaks off, import it again. Importing the same stream twice\n"
                "changes nothing, also when its messages have been delivered meanwhile.\n",
        .flags = import_flags,
        .run = run_import,
};
