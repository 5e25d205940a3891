/*
 * postcat.c - postcat -q: a message of the queue, as `forepost queue show` has it
 *
 * Files of Postfix's queue are not read: the queue here is a journal.
 */
#include "bin/ask.h"
#include "bin/names.h"

#include <unistd.h>

int name_postcat(int argc, char **argv)
{
        static struct args args;
        const char *directory = NULL;
        bool by_id = false;
        int option;
        while ((option = getopt(argc, argv, "+bc:dehnoqrsv")) >= 0) {
                if (option == 'c')
                        directory = optarg;
                else if (option == 'q')
                        by_id = true;
                else if (option == '?')
                        return name_fatal(1, "usage: postcat [-c config_dir] -q queue_id...");
        }
        if (!by_id || optind == argc)
                return name_fatal(
                        1, "usage: postcat [-c config_dir] -q queue_id...; there are no files "
                           "of a queue to be read here");
        int code = EXIT_DONE;
        for (int i = optind; i < argc && code == EXIT_DONE; i++) {
                args = (struct args){.dir = name_directory(directory)};
                args.words[0] = argv[i];
                args.word_count = 1;
                code = command_queue_show.run(&args);
        }
        return code == EXIT_DONE ? 0 : 1;
}
