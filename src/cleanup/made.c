/*
 * made.c - milter_header_checks: a field that a filter adds or changes, against its table
 *
 * The message's text is through by then; what the table wants of the envelope (HOLD, FILTER, REDIRECT, BCC, DISCARD) still
 * counts, as it is put in at the end.
 */
#include "base/check.h"
#include "cleanup/cleanup_private.h"

static struct str lines_kept(struct cleanup *c, struct str lines)
{
        return arena_str(c->arena, field_without_line_end(lines));
}

bool await_cleanup_made(struct cleanup *c, struct cleanup_made *made, struct smtp_reply *refusal)
{
        const struct table_list *checks = c->rules->milter_header_checks;
        if ((checks && table_list_is_empty(checks)) || c->is_passed)
                return true;
        struct buf before;
        struct buf *out = c->out;
        struct str instead;
        buf_init(&before, CLEANUP_UNIT_BYTES_MAX);
        c->out = &before;
        struct str text = field_text_for_checks(made->field, (size_t)c->params->header_size_limit,
                                                &c->scratch);
        switch (await_check_text(c, CHECK_MADE, text, &instead)) {
        case CHECK_KEEPS:
                break;
        case CHECK_DROPS:
                made->field = STR("");
                break;
        case CHECK_REPLACES:
                made->field = lines_kept(c, field_from_table(instead, c->arena));
                break;
        }
        made->before = lines_kept(c, buf_str(&before));
        c->out = out;
        buf_done(&before);
        *refusal = c->refusal;
        return !c->is_refused;
}
