/* control_explain.c - forepost explain CODE: how a refusal came about */
#include "ops/ops_private.h"
#include "ops/refusals.h"

enum { OUT_BYTES_MAX = 8 * EXPLANATION_BYTES_MAX };

static void put_json(struct buf *out, struct str record)
{
        struct json j;
        json_init(&j, out);
        json_open(&j, NULL, '{');
        explanation_put_json(&j, record);
        json_close(&j, '}');
        json_end(&j);
}

void await_control_explain(struct conversation *c, const struct request *request)
{
        struct refusals *refusals = conversation_worker(c)->refusals;
        struct buf record;
        struct buf out;
        buf_init(&record, EXPLANATION_BYTES_MAX);
        buf_init(&out, OUT_BYTES_MAX);
        if (!refusals || !refusals_find(refusals, request->id, &record)) {
                conversation_end(c, 1,
                                 "no refusal with this code is remembered (refusal_trace_size)");
        } else {
                if (request->wants_json)
                        put_json(&out, buf_str(&record));
                else
                        explanation_put_text(&out, buf_str(&record), STR(""));
                await_conversation_put(c, '|', buf_str(&out));
        }
        buf_done(&record);
        buf_done(&out);
}
