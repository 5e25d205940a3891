/* ask.c - asking the server, for commands */
#include "bin/ask.h"

#include <errno.h>

int command_ask(const struct config *c, const struct request *request)
{
        struct why why;
        int rc = control_ask(c, request, &why);
        if (rc == 0)
                return EXIT_DONE;
        command_error("%s", why.text[0] ? why.text : "the server refused, and did not say why");
        return rc == -ENOTCONN ? EXIT_NOT_RUNNING : EXIT_FAILED;
}
