/*
 * recorder.h - the file of session_record_file: one record after the other, for forepost replay
 *
 * Opened for each record, so that logrotate may take it away. What cannot be written is counted, and logged once a minute.
 */
#ifndef OPS_RECORDER_H
#define OPS_RECORDER_H

#include "base/str.h"

/* Appends the record whole; `config` is the struct config that names the file. Suspends. */
void await_recorder_add(void *config, struct str record);

#endif
