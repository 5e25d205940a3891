/* control_lists.c - forepost dnsbl; and the task that tests lists when they are due */
#include "ops/lists.h"
#include "ops/ops_private.h"

#include "policy/dnsbl.h"

enum {
        LISTS_BYTES_MAX = 4 * 1024 * 1024,
        LOOK_MS = 5000,  /* how often it is looked which are due */
        TEST_MS = 10000, /* what a test may take here, where nobody waits for it */
};

void await_control_lists(struct conversation *c, const struct request *request)
{
        struct buf out;
        buf_init(&out, LISTS_BYTES_MAX);
        if (request->wants_json)
                lists_put_json(&out);
        else
                lists_put_text(&out);
        await_conversation_put(c, '|', buf_str(&out));
        buf_done(&out);
}

void await_keep_lists(void *arg)
{
        struct worker *w = arg;
        w->list_keeper = task_self();
        do {
                struct site *site = site_ref(w->site);
                if (site->dns)
                        await_dnsbl_test_due(site->dns, loop_now_ms() + TEST_MS);
                site_unref(&site);
        } while (!w->is_stopping && await_sleep(LOOK_MS) == 0);
        w->list_keeper = NULL;
}
