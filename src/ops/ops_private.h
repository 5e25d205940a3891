/*
 * ops_private.h - the worker, as its parts see it
 *
 * All of it belongs to the office's loop, but what a station's own loop keeps.
 */
#ifndef OPS_OPS_PRIVATE_H
#define OPS_OPS_PRIVATE_H

#include "loop/task.h"
#include "ops/channel.h"
#include "ops/protocol.h"
#include "ops/site.h"
#include "ops/worker.h"

#include <pthread.h>

/* Where a listener of a station stands. */
struct post {
        struct listener *listener;
        char text[LISTEN_TEXT_BYTES_MAX];
};

/* One loop and what lives on it; touched on that loop alone once its thread runs. */
struct station {
        struct worker *worker;
        struct loop *loop;
        pthread_t thread;
        size_t index;
        struct delivery *delivery;
        struct post *posts; /* one for each address */
        size_t post_count;
        struct post local; /* for those who submit on this machine; it has no socket */
        size_t retiring;   /* listeners that wait for their sessions to end */
        struct task *retiring_waiter;
};

struct worker {
        const struct worker_options *options;
        struct loop *office;
        struct station *stations;
        size_t station_count;
        size_t flushes; /* that are under way or wait; atomic */
        struct site *site;
        struct spool *spool;
        struct front_door *door;
        struct refusals *refusals; /* NULL: none are kept */
        struct verify *verify;
        struct listen_set listen;

        int signal_fd;
        struct watch signal_watch;
        struct watch channel_watch;

        struct control *control;
        int64_t started_us; /* wall clock */
        int exit_code;
        bool is_stopping;
        bool is_ready;
        struct task *refresher;
        struct task *list_keeper;
        bool is_answering; /* the supervisor, who asks whether all loops live */
        uint32_t
                untold; /* a CHANNEL_LISTEN that was taken, which the supervisor could not be told yet; 0: none */
        struct task *verify_keeper;
        struct task *picker; /* of maildrop/ */
        struct buf
                left_ids; /* what its last look left there, refused for now: QUEUE_ID_BYTES_MAX each */

        /* a reload under way */
        bool is_reloading;
        struct task *reloader;
        struct listen_set incoming; /* where the supervisor's sockets go; NULL list: none wanted */
        struct key_files key_files; /* the supervisor's copies */
        struct channel_question question; /* to the supervisor */
        bool has_answer;
        char refusal[sizeof(((struct channel_message *)0)->text)]; /* empty: it agreed */
        uint64_t reloads;
        uint64_t reloads_refused;
        int64_t reloaded_us;
};

/* worker.c */
/* Errors and warnings, for those who were not there when it started. */
void worker_log_findings(const struct findings *findings);
/* Makes the services of a site, which call back to this worker. */
void worker_open_site(struct worker *w, struct site *site);
void worker_stop(struct worker *w);
/* Tells the supervisor to stop us: it closes its sockets first. */
void worker_ask_for_stop(struct worker *w);

/* station.c: all of these suspend the office's task until every loop has done it */
void await_stations_start(struct worker *w);
void await_stations_change(struct worker *w, struct site *site, struct listen_set *listen);
void await_stations_stop(struct worker *w, int64_t deadline_ms);

/* reload.c */
/* 0, or a negative errno value with *why; findings are added in any case. */
int await_reload(struct worker *w, struct findings *findings, struct why *why);
/* The supervisor hears of a configuration that is in force here, if it has not yet. */
void reload_tell(struct worker *w);
/* The supervisor's part of it has come. */
void reload_receive(struct worker *w, const struct channel_message *m, int fd);

/* known_clients.c: those that have passed postscreen's tests, kept between two runs. The first two block */
void worker_load_known_clients(struct worker *w);
void worker_save_known_clients(struct worker *w, struct site *site);
/* Called each second with how many it were: writes them now and then. */
void await_save_known_clients(struct worker *w, int64_t seconds);

/* flusher.c */
/* session_service_parts.flush, with the worker as context. */
bool flusher_ask(void *context, struct str domain);
void await_flusher_stop(struct worker *w);
/* control_change.c: what waits for this domain is tried now; how many messages. On the office's loop. */
size_t await_queue_flush(struct worker *w, struct str domain);

/* control.c */
struct conversation; /* with one command */
int control_start(struct worker *w, struct why *why);
void await_control_stop(struct worker *w);
/* The connection becomes a session of a station: who asks has submitted. After the conversation's end. */
void await_station_adopt(struct station *s, int fd, unsigned uid);
/* Sends text, each line marked; 0 or an error of the wire: then the command is gone. */
int await_conversation_put(struct conversation *c, char mark, struct str text);
/* The last line; `code` 0 with no text, or a failure. */
void conversation_end(struct conversation *c, int code, const char *text);
struct worker *conversation_worker(struct conversation *c);

/* control_queue.c, control_change.c, status.c: each answers one request */
void await_control_change(struct conversation *c, const struct request *request);
#define DRAINING "draining: clients are answered 421 until \"queue accept\""
void await_control_drain(struct conversation *c, const struct request *request);
void conversation_end_not_found(struct conversation *c, struct str id);
void await_control_queue(struct conversation *c, const struct request *request);
void await_control_status(struct conversation *c, const struct request *request);
void await_control_explain(struct conversation *c, const struct request *request);
void await_control_sessions(struct conversation *c, const struct request *request);
void await_control_deliveries(struct conversation *c, const struct request *request);
void await_control_lists(struct conversation *c, const struct request *request);
/* A task of the office: lists in the DNS are tested when they are due (arg: the worker). */
void await_keep_lists(void *arg);

#endif
