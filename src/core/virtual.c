/*
 * virtual.c - the agent "virtual": a message into the Maildirs of its recipients (virtual(8))
 *
 * Each recipient is looked up (user+ext@domain, user@domain, @domain), then gets a copy of its own with
 * Return-Path, X-Original-To (when an alias led here) and Delivered-To in front. All file work is done
 * by the pool: one trip for a message of ordinary size, one for each piece of a large one. A message
 * that bears our own Delivered-To has come round and is returned (5.4.6).
 *
 * Diagnostics: "delivered to maildir"; 5.1.1 unknown user; 5.2.2 over virtual_mailbox_limit; 4.2.2 quota;
 * 4.3.1 disk full; 4.3.5 a mailbox path or a configuration that cannot be right; 4.2.0 other trouble with files.
 */
#include "core/core_private.h"

#include "core/maildir.h"
#include "delivery/delivery.h"
#include "loop/pool.h"
#include "loop/task.h"
#include "message/header.h"

#include <errno.h>

enum { PREFIX_BYTES_MAX = 8192, LOOKUP_BYTES_MAX = 64 * 1024 };

/* One recipient's delivery; lives on the task's stack. */
struct copy {
        const struct core_mailbox_service *service;
        struct delivery_job *job;
        size_t recipient;
        struct arena arena;
        struct str path;   /* of the Maildir, below the base */
        struct buf prefix; /* the lines in front */
        struct maildir maildir;
        struct str piece; /* what the pool is to write now */
        bool begins;
        bool ends;
        struct why why;
};

/* `public` is what a bounce shows; empty: the same. */
static void await_settle(struct copy *c, enum delivery_status status, const char *dsn,
                         struct str text, struct str public)
{
        const struct delivery_result result = {.status = status,
                                               .dsn = dsn,
                                               .relay = STR("virtual"),
                                               .text = text,
                                               .public = public};
        await_delivery_job_result(c->job, c->recipient, &result);
}

/* The reason names our files: that is for our log, not for the sender. */
static void await_settle_why(struct copy *c, enum delivery_status status, const char *dsn)
{
        await_settle(c, status, dsn, str_from(c->why.text),
                     status == DELIVERY_BOUNCED ? STR("")
                                                : STR("the mailbox cannot be written now"));
}

/* ---- whose mailbox ---- */

/* 0, or the recipient has its result. */
static int await_find_path(struct copy *c, const struct recipient *recipient)
{
        struct smtp_address address;
        if (smtp_address_parse(recipient->address, &c->arena, &address) < 0) {
                await_settle(c, DELIVERY_BOUNCED, "5.1.3", STR("bad address syntax"), STR(""));
                return -EINVAL;
        }
        const struct table_address key = {.local = address.local,
                                          .domain = address.domain,
                                          .delimiters = c->service->delimiters};
        enum table_result found = await_table_list_find_address(c->service->maps, &key, &c->arena,
                                                                &c->path, NULL, &c->why);
        if (found == TABLE_NOT_FOUND) {
                why_set(&c->why, -ENOENT, "unknown user: \"%.*s\"", STR_ARG(recipient->address));
                await_settle_why(c, DELIVERY_BOUNCED, "5.1.1");
                return -ENOENT;
        }
        if (found == TABLE_ERROR) {
                await_settle_why(c, DELIVERY_DEFERRED, "4.3.0");
                return -EAGAIN;
        }
        if (maildir_path_check(c->path, &c->why) < 0) {
                await_settle_why(c, DELIVERY_DEFERRED, "4.3.5");
                return -EINVAL;
        }
        return 0;
}

/* ---- what goes in front ---- */

static void write_prefix(struct copy *c, const struct recipient *recipient)
{
        struct str sender = c->job->envelope->sender;
        buf_init(&c->prefix, PREFIX_BYTES_MAX);
        buf_printf(&c->prefix, "Return-Path: <%.*s>\n", STR_ARG(sender));
        if (recipient->original.len && !str_eq(recipient->original, recipient->address))
                buf_printf(&c->prefix, "X-Original-To: %.*s\n", STR_ARG(recipient->original));
        buf_printf(&c->prefix, "Delivered-To: %.*s\n", STR_ARG(recipient->address));
}

/* Does the header say that this very mailbox had the message before? */
static bool has_come_round(struct str text, struct str address)
{
        struct header_field field;
        while (header_next(&text, &field))
                if (str_eq_nocase(field.name, STR("Delivered-To")) &&
                    str_eq_nocase(str_trim(field.value), address))
                        return true;
        return false;
}

/* ---- writing, on a pool thread ---- */

static int write_piece(void *arg)
{
        struct copy *c = arg;
        int rc = 0;
        if (c->begins) {
                rc = maildir_begin(&c->maildir, c->service->base, c->path, &c->why);
                if (rc < 0)
                        return rc;
                rc = maildir_append(&c->maildir, buf_str(&c->prefix), &c->why);
        }
        if (rc == 0)
                rc = maildir_append(&c->maildir, c->piece, &c->why);
        if (rc < 0) {
                maildir_abandon(&c->maildir);
                return rc;
        }
        return c->ends ? maildir_commit(&c->maildir, &c->why) : 0;
}

static int abandon(void *arg)
{
        struct copy *c = arg;
        maildir_abandon(&c->maildir);
        return 0;
}

static int await_write(struct copy *c, struct str piece, bool begins, bool ends)
{
        c->piece = piece;
        c->begins = begins;
        c->ends = ends;
        return await_pool_run("writing to mailbox", c->path, write_piece, c);
}

/* Pieces up to the end; `first` has been read. Everything that fails leaves nothing behind. */
static int await_write_all(struct copy *c, struct spool_reader *reader, struct str first,
                           bool *is_unreadable)
{
        const int64_t bytes = spool_message_bytes(c->job->message);
        int64_t done = (int64_t)first.len;
        int rc = await_write(c, first, true, done >= bytes);
        while (rc == 0 && done < bytes) {
                struct str piece;
                rc = await_spool_reader_next(reader, &piece, &c->why);
                if (rc == 0 && piece.len == 0)
                        rc = why_set(&c->why, -EIO, "the queue file ends too early");
                if (rc < 0) {
                        await_pool_run("giving up mailbox", c->path, abandon, c);
                        *is_unreadable = true;
                        break;
                }
                done += (int64_t)piece.len;
                rc = await_write(c, piece, false, done >= bytes);
        }
        return rc;
}

/* ---- a recipient, a job ---- */

static void await_copy_content(struct copy *c, const struct recipient *recipient)
{
        struct spool_reader reader;
        struct str first;
        bool is_unreadable = false;
        spool_reader_init(&reader, c->job->message);
        int rc = await_spool_reader_next(&reader, &first, &c->why);
        if (rc < 0) {
                is_unreadable = true;
        } else if (has_come_round(first, recipient->address)) {
                why_set(&c->why, -ELOOP, "mail forwarding loop for %.*s",
                        STR_ARG(recipient->address));
                await_settle_why(c, DELIVERY_BOUNCED, "5.4.6");
                spool_reader_done(&reader);
                return;
        } else {
                rc = await_write_all(c, &reader, first, &is_unreadable);
        }
        spool_reader_done(&reader);
        if (rc == -ECANCELED)
                return; /* the server stops: no result, and nothing in the mailbox */
        if (rc == 0)
                await_settle(c, DELIVERY_SENT, "2.0.0", STR("delivered to maildir"), STR(""));
        else
                await_settle_why(c, DELIVERY_DEFERRED,
                                 is_unreadable ? "4.3.0" : maildir_error_dsn(rc));
}

static void await_deliver_copy(struct copy *c)
{
        const struct recipient *recipient = &c->job->envelope->recipients[c->recipient];
        int64_t bytes = c->job->is_probe ? 0 : spool_message_bytes(c->job->message);
        if (c->service->bytes_max && bytes > c->service->bytes_max) {
                why_set(&c->why, -EFBIG,
                        "message of %lld bytes is over the mailbox's limit of %lld",
                        (long long)bytes, (long long)c->service->bytes_max);
                await_settle_why(c, DELIVERY_BOUNCED, "5.2.2");
                return;
        }
        arena_init(&c->arena, LOOKUP_BYTES_MAX);
        bool is_found = await_find_path(c, recipient) == 0;
        if (is_found && c->job->is_probe) {
                await_settle(c, DELIVERY_SENT, "2.0.0", STR("delivers to maildir"), STR(""));
        } else if (is_found) {
                write_prefix(c, recipient);
                await_copy_content(c, recipient);
                buf_done(&c->prefix);
        }
        arena_done(&c->arena);
}

static void await_deliver(struct delivery_job *job)
{
        struct core_mailboxes *mailboxes = core_mailboxes_in_use();
        const struct core_mailbox_service *service =
                mailboxes ? core_mailboxes_service(mailboxes, job->route->transport->name) : NULL;
        for (size_t i = 0; i < job->recipient_count && !task_is_canceled(task_self()); i++) {
                struct copy copy = {
                        .service = service, .job = job, .recipient = job->recipients[i]};
                if (service && service->maps)
                        await_deliver_copy(&copy);
                else
                        await_settle(
                                &copy, DELIVERY_DEFERRED, "4.3.5",
                                STR("no mailboxes are configured here (virtual_mailbox_domains)"),
                                STR("no mailbox here"));
        }
        core_mailboxes_unref(&mailboxes);
}

void core_register(void)
{
        delivery_agent_register("virtual", await_deliver);
}
