/*
 * client_test.c - what becomes of a message at servers that refuse, break off, fall silent, talk rubbish
 *
 * Each play is a message for one or more recipients, what the server does, and the lines that the log must
 * then have.
 */
#include "delivery/rig.h"

#define EHLO_PLAIN "<EHLO me.test\n>250 core1.inside.test\n"
#define EHLO_PIPELINING                                                                       \
        "<EHLO me.test\n>250-core1.inside.test greets you\n>250-PIPELINING\n>250-SIZE 1000\n" \
        ">250-8BITMIME\n>250-DSN\n>250 ENHANCEDSTATUSCODES\n"
#define GREETING ">220 core1.inside.test ESMTP\n"
#define START    GREETING EHLO_PIPELINING
#define MAIL_OK  "<MAIL FROM:<from@sender.test>\n>250 2.1.0 Ok\n"
#define RCPT_OK  "<RCPT TO:<\n>250 2.1.5 Ok\n"
#define DATA_OK  "<DATA\n>354 go\n"
#define ENVELOPE MAIL_OK RCPT_OK DATA_OK
#define HOST     "127.0.0.1[127.0.0.1]"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

struct play {
        const char *name;
        const char *to;
        const char *scripts[3];
        const char *log[5];
        const char *not_in_log;
        const char *bounce[3]; /* what the bounce has; none: there is no bounce */
        const char *settings;
        size_t connections; /* 0: not counted */
};

static const struct play plays[] = {
        {.name = "all well",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@data\n>250 2.0.0 Ok: queued as X\n<QUIT"},
         .log = {"to=<u@dest.test>, relay=" HOST ":",
                 "dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as X)", ": removed"}},
        {.name = "no pipelining, no extension",
         .to = "u@dest.test",
         .scripts = {GREETING EHLO_PLAIN
                     "<MAIL FROM:<from@sender.test>\n@wait 5\n>250 Ok\n" RCPT_OK DATA_OK
                     "@data\n>250 Ok\n<QUIT"},
         .log = {"dsn=2.0.0, status=sent (250 Ok)"}},
        {.name = "HELO after EHLO",
         .to = "u@dest.test",
         .scripts = {GREETING "<EHLO\n>502 what?\n<HELO me.test\n>250 hi\n" ENVELOPE
                              "@data\n>250 Ok\n<QUIT"},
         .log = {"status=sent (250 Ok)"}},
        {.name = "many lines",
         .to = "u@dest.test",
         .scripts = {">220-one\n>220-two\n>220 three\n" EHLO_PIPELINING ENVELOPE
                     "@data\n>250-2.0.0 a\n>250-2.0.0 b\n>250 2.0.0 c\n<QUIT"},
         .log = {"status=sent (250 2.0.0 a b c)"}},

        /* refusals */
        {.name = "recipient refused for good",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK
                     "<RCPT TO:<u@dest.test>\n>550 5.1.1 no such user\n<DATA\n>554 5.5.1 none\n"
                     "<QUIT"},
         .log = {"dsn=5.1.1, status=bounced (host " HOST
                 " said: 550 5.1.1 no such user (in reply to "
                 "RCPT TO command))",
                 "sender non-delivery notification: ", "removed"},
         .bounce = {"Diagnostic-Code: smtp; 550 5.1.1 no such user", "Status: 5.1.1"}},
        {.name = "recipient refused for now",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK
                     "<RCPT TO:<\n>450 4.2.0 greylisted\n<DATA\n>554 5.5.1 none\n<QUIT"},
         .log = {"dsn=4.2.0, status=deferred (host " HOST
                 " said: 450 4.2.0 greylisted (in reply to "
                 "RCPT TO command))"},
         .not_in_log = "removed"},
        {.name = "one of three each way",
         .to = "a@dest.test b@dest.test c@dest.test",
         .scripts = {START MAIL_OK
                     "<RCPT TO:<a@\n>250 ok\n<RCPT TO:<b@\n>550 5.1.1 no\n<RCPT TO:<c@\n>451 busy\n"
                     "<DATA\n>354 go\n@data\n>250 2.0.0 Ok\n<QUIT"},
         .log = {"to=<a@dest.test>, relay=" HOST, "status=sent (250 2.0.0 Ok)",
                 "dsn=5.1.1, status=bounced (host",
                 "dsn=4.0.0, status=deferred (host " HOST " said: 451 busy"},
         .bounce = {"Final-Recipient: rfc822; b@dest.test"}},
        {.name = "354 although nobody was taken",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK "<RCPT TO:<\n>550 5.1.1 no\n<DATA\n>354 go on\n@hang"},
         .log = {"status=bounced (host " HOST " said: 550 5.1.1 no"},
         .bounce = {"5.1.1 no"}},
        {.name = "sender refused",
         .to = "a@dest.test b@dest.test",
         .scripts =
                 {START
                  "<MAIL\n>550 5.7.1 go away\n<RCPT\n>503 no\n<RCPT\n>503 no\n<DATA\n>503 no\n<QUIT"},
         .log = {"to=<b@dest.test>, relay=" HOST,
                 "status=bounced (host " HOST
                 " said: 550 5.7.1 go away (in reply to MAIL FROM command))"},
         .bounce = {"<b@dest.test>"}},
        {.name = "DATA refused",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK RCPT_OK "<DATA\n>451 4.3.0 no disk\n<QUIT"},
         .log = {"dsn=4.3.0, status=deferred (host " HOST
                 " said: 451 4.3.0 no disk (in reply to DATA command))"}},
        {.name = "content refused",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@data\n>554 5.6.0 spam\n<QUIT"},
         .log = {"dsn=5.6.0, status=bounced (host " HOST
                 " said: 554 5.6.0 spam (in reply to end of DATA command))"},
         .bounce = {"Diagnostic-Code: smtp; 554 5.6.0 spam", "Hello"}},
        {.name = "an enhanced code of another class",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK "<RCPT TO:<\n>550 4.1.1 confused\n<DATA\n>554 none\n<QUIT"},
         .log = {"dsn=5.0.0, status=bounced"},
         .bounce = {"550 4.1.1 confused"}},
        {.name = "a reply that is none of ours",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK "<RCPT TO:<\n>354 surprise\n<DATA\n>554 none\n<QUIT"},
         .log = {"dsn=4.5.0, status=deferred (host " HOST " said: 354 surprise"}},
        {.name = "message too large",
         .to = "u@dest.test",
         .scripts = {GREETING "<EHLO\n>250-x\n>250 SIZE 10\n<QUIT"},
         .log = {"dsn=5.3.4, status=bounced (message size 32 exceeds size limit 10 of server " HOST
                 ")"},
         .bounce = {"exceeds size limit 10"}},

        /* greetings */
        {.name = "421 greeting",
         .to = "u@dest.test",
         .scripts = {">421 4.3.2 too busy\n"},
         .log = {"dsn=4.3.2, status=deferred (host " HOST
                 " refused to talk to me: 421 4.3.2 too busy)"}},
        {.name = "554 greeting",
         .to = "u@dest.test",
         .scripts = {">554 5.7.1 not you\n<QUIT"},
         .log = {"dsn=4.7.1, status=deferred (host " HOST
                 " refused to talk to me: 554 5.7.1 not you)"}},
        {.name = "554 greeting that counts",
         .to = "u@dest.test",
         .settings = "smtp_skip_5xx_greeting = no\n",
         .scripts = {">554 5.7.1 not you\n<QUIT"},
         .log = {"dsn=5.7.1, status=bounced (host " HOST
                 " refused to talk to me: 554 5.7.1 not you)"},
         .bounce = {"554 5.7.1 not you"}},
        {.name = "HELO refused",
         .to = "u@dest.test",
         .scripts = {GREETING "<EHLO\n>550 no\n<HELO\n>550 5.7.1 never\n<QUIT"},
         .log = {"dsn=5.7.1, status=bounced (host " HOST
                 " refused to talk to me: 550 5.7.1 never)"},
         .bounce = {"550 5.7.1 never"}},
        {.name = "nobody there",
         .to = "u@nowhere.test",
         .scripts = {"@hang"},
         .log = {"to=<u@nowhere.test>, relay=none, ",
                 "dsn=4.4.1, status=deferred (connect to 127.0.0.1[127.0.0.1]:1: Connection refused)"}},

        /* silence, breaks, rubbish */
        {.name = "silent greeting",
         .to = "u@dest.test",
         .scripts = {"@hang"},
         .log = {"dsn=4.4.2, status=deferred (conversation with " HOST
                 " timed out while receiving the initial server greeting)"}},
        {.name = "silent EHLO",
         .to = "u@dest.test",
         .scripts = {GREETING "@hang"},
         .log = {"timed out while performing the EHLO handshake)"}},
        {.name = "a covered greeting",
         .to = "u@dest.test",
         .scripts = {">220 **0***2 *****\n<HELO me.test\n>250 core1\n" ENVELOPE
                     "@data\n>250 Ok\n<QUIT"},
         .log = {"enabling PIX workarounds: disable_esmtp delay_dotcrlf for " HOST, "status=sent"}},
        {.name = "a greeting that is not covered",
         .to = "u@dest.test",
         .scripts = {">220 **0***2 ***x\n" EHLO_PIPELINING ENVELOPE "@data\n>250 Ok\n<QUIT"},
         .log = {"status=sent"},
         .not_in_log = "PIX"},
        {.name = "a covered greeting, and words for the server",
         .to = "u@dest.test",
         .settings =
                 "smtp_pix_workaround_maps = inline:{ { 127.0.0.1 = delay_dotcrlf nothing } }\n",
         .scripts = {">220 ***\n" EHLO_PIPELINING ENVELOPE "@data\n>250 Ok\n<QUIT"},
         .log = {"smtp_pix_workaround_maps: \"nothing\" is no workaround",
                 "enabling PIX workarounds: delay_dotcrlf for " HOST, "status=sent"}},
        {.name = "a covered greeting, and no workarounds",
         .to = "u@dest.test",
         .settings = "smtp_pix_workarounds =\n",
         .scripts = {">220 ***\n" EHLO_PIPELINING ENVELOPE "@data\n>250 Ok\n<QUIT"},
         .log = {"status=sent"},
         .not_in_log = "PIX"},
        {.name = "a reply in drops, with a deadline",
         .to = "u@dest.test",
         .settings = "smtp_per_request_deadline = yes\n",
         .scripts =
                 {GREETING
                  "<EHLO\n>250-a\n@wait 400\n>250-b\n@wait 400\n>250-c\n@wait 400\n>250 d\n@hang"},
         .log = {"timed out while performing the EHLO handshake)"}},
        {.name = "silent MAIL",
         .to = "u@dest.test",
         .scripts = {START "@hang"},
         .log = {"timed out while sending MAIL FROM)"}},
        {.name = "silent RCPT",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK "@hang"},
         .log = {"timed out while sending RCPT TO)"}},
        {.name = "silent DATA",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK RCPT_OK "@hang"},
         .log = {"timed out while sending DATA command)"}},
        {.name = "silent dot",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@hang"},
         .log = {"dsn=4.4.2, status=deferred (conversation with " HOST
                 " timed out while sending end of data -- message may be sent more than once)"}},
        {.name = "closed at once",
         .to = "u@dest.test",
         .scripts = {""},
         .log = {"lost connection with " HOST " while receiving the initial server greeting)"}},
        {.name = "reset in EHLO",
         .to = "u@dest.test",
         .scripts = {GREETING "<EHLO\n@reset"},
         .log = {"lost connection with " HOST " while performing the EHLO handshake)"}},
        {.name = "closed in RCPT",
         .to = "u@dest.test",
         .scripts = {START "<MAIL\n>250 ok\n<RCPT"},
         .log = {"lost connection with " HOST " while sending RCPT TO)"}},
        {.name = "reset in RCPT",
         .to = "u@dest.test",
         .scripts = {START "<MAIL\n>250 ok\n<RCPT\n@reset"},
         .log = {"lost connection with " HOST " while sending RCPT TO)"}},
        {.name = "closed after the dot",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@data"},
         .log = {"lost connection with " HOST
                 " while sending end of data -- message may be sent more than once)"},
         .connections = 1},
        {.name = "reset after the dot",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@data\n@reset"},
         .log = {"status=deferred (lost connection with " HOST " while sending end of data"},
         .connections = 1},
        {.name = "421 in RCPT",
         .to = "a@dest.test b@dest.test",
         .scripts = {START MAIL_OK "<RCPT\n>250 ok\n<RCPT\n>421 4.3.2 shutting down\n"},
         .log = {"to=<a@dest.test>, relay=" HOST,
                 "dsn=4.3.2, status=deferred (host " HOST " said: 421 4.3.2 shutting down"},
         .not_in_log = "status=sent"},
        {.name = "rubbish for a greeting",
         .to = "u@dest.test",
         .scripts = {">HTTP/1.1 400 Bad Request\n@hang"},
         .log = {"dsn=4.5.0, status=deferred (host " HOST
                 " sent what is no SMTP reply while receiving the initial server greeting)"}},
        {.name = "codes that differ",
         .to = "u@dest.test",
         .scripts = {GREETING "<EHLO\n>250-a\n>251 b\n@hang"},
         .log = {"sent what is no SMTP reply while performing the EHLO handshake)"}},
        {.name = "a reply without end",
         .to = "u@dest.test",
         .scripts = {GREETING "<EHLO\n@flood"},
         .log = {"sent what is no SMTP reply while performing the EHLO handshake)"}},
        {.name = "a line without end",
         .to = "u@dest.test",
         .scripts = {GREETING "<EHLO\n@long\n@hang"},
         .log = {"sent what is no SMTP reply while performing the EHLO handshake)"}},

        {.name = "silent STARTTLS",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = may\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n@hang"},
         .log = {"status=deferred (conversation with " HOST " timed out while"}},
        {.name = "silent handshake",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = encrypt\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@hang"},
         .log = {"dsn=4.7.5, status=deferred (Cannot start TLS with " HOST}},
        {.name = "reset in the handshake",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = encrypt\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@reset"},
         .log = {"status=deferred ("},
         .not_in_log = "status=sent"},
        {.name = "reset in MAIL",
         .to = "u@dest.test",
         .scripts = {START "<MAIL\n@reset"},
         .log = {"lost connection with " HOST " while sending MAIL FROM)"}},
        {.name = "reset in DATA",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK RCPT_OK "<DATA\n@reset"},
         .log = {"lost connection with " HOST " while sending DATA command)"}},
        {.name = "reset before the dot is answered",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@some 10\n@reset"},
         .log = {"status=deferred (lost connection with " HOST " while sending "},
         .connections = 1},
        {.name = "421 to DATA",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK RCPT_OK "<DATA\n>421 4.3.2 shutting down\n"},
         .log = {"dsn=4.3.2, status=deferred (host " HOST " said: 421 4.3.2 shutting down"}},
        {.name = "421 to the dot",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@data\n>421 4.3.2 shutting down\n"},
         .log = {"dsn=4.3.2, status=deferred (host " HOST " said: 421 4.3.2 shutting down"},
         .connections = 1},
        {.name = "half open: it has said all it will, and reads on",
         .to = "u@dest.test",
         .scripts = {START "@half\n@hang"},
         .log = {"lost connection with " HOST " while sending MAIL FROM)"}},
        {.name = "half open after the dot",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@data\n@half\n@hang"},
         .log = {"lost connection with " HOST
                 " while sending end of data -- message may be sent more than once)"},
         .connections = 1},
        {.name = "a reply without end to the dot",
         .to = "u@dest.test",
         .scripts = {START ENVELOPE "@data\n@flood"},
         .log = {"status=deferred (host " HOST
                 " sent what is no SMTP reply while sending end of data"},
         .connections = 1},
        {.name = "rubbish for the reply to RCPT",
         .to = "u@dest.test",
         .scripts = {START MAIL_OK "<RCPT\n>yes please\n@hang"},
         .log = {"sent what is no SMTP reply while sending RCPT TO)"}},

        /* more than one host */
        {.name = "the first is down",
         .to = "u@both.test",
         .scripts = {"@serve"},
         .log = {"to=<u@both.test>, relay=" HOST, "status=sent"},
         .not_in_log = "status=deferred"},
        {.name = "4xx goes on, 5xx does not",
         .to = "a@dest.test b@dest.test",
         .settings = "smtp_fallback_relay = OTHER\n",
         .scripts = {START MAIL_OK
                     "<RCPT TO:<a@\n>450 4.2.0 later\n<RCPT TO:<b@\n>550 5.1.1 no\n<DATA\n>554 no\n"
                     "<QUIT",
                     START MAIL_OK "<RCPT TO:<a@\n>250 ok\n" DATA_OK "@data\n>250 Ok\n<QUIT"},
         .log = {"to=<a@dest.test>, relay=127.0.0.2[127.0.0.2]:", "status=sent (250 Ok)",
                 "to=<b@dest.test>, relay=" HOST, "dsn=5.1.1, status=bounced"},
         .not_in_log = "status=deferred",
         .bounce = {"b@dest.test"},
         .connections = 2},
        {.name = "after the dot nobody else is tried",
         .to = "a@dest.test",
         .settings = "smtp_fallback_relay = OTHER\n",
         .scripts = {START ENVELOPE "@data", "@serve"},
         .log = {"status=deferred (lost connection with " HOST " while sending end of data"},
         .connections = 1},
        {.name = "one breaks off, the next takes it",
         .to = "a@dest.test",
         .settings = "smtp_fallback_relay = OTHER\n",
         .scripts = {START MAIL_OK "<RCPT", "@serve"},
         .log = {"relay=127.0.0.2[127.0.0.2]:", "status=sent"},
         .not_in_log = "status=deferred",
         .connections = 2},
        {.name = "a bad next hop in a map",
         .to = "u@bad.test",
         .settings = "default_transport = smtp:[\n",
         .scripts = {"@hang"},
         .log = {"dsn=4.3.5, status=deferred (bad next hop \"[\")"}},

        /* hidden next hops */
        {.name = "a hidden host refuses",
         .to = "u@relay.test",
         .scripts =
                 {GREETING EHLO_PIPELINING MAIL_OK
                  "<RCPT TO:<\n>550 5.1.1 <u@relay.test>: core1.inside.test [127.0.0.1] knows no such "
                  "user, says core1\n<DATA\n>554 no\n<QUIT"},
         .log = {"relay=" HOST,
                 "dsn=5.1.1, status=bounced (host " HOST " said: 550 5.1.1 <u@relay.test>: "
                 "core1.inside.test [127.0.0.1] knows no such user"},
         .bounce = {"the destination's mail system said: 550 5.1.1",
                    "<u@relay.test>: (hidden) [(hidden)]",
                    "Diagnostic-Code: smtp; 550 5.1.1 <u@relay.test>: (hidden)"}},

        /* TLS */
        {.name = "STARTTLS when it is offered",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = may\nsmtp_tls_loglevel = 1\n",
         .scripts =
                 {GREETING
                  "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n<EHLO\n>250 a\n" ENVELOPE
                  "@data\n>250 Ok\n<QUIT"},
         .log = {"Untrusted TLS connection established to " HOST, "status=sent (250 Ok)"}},
        {.name = "STARTTLS refused, and not needed",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = may\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>454 no\n" ENVELOPE
                              "@data\n>250 Ok\n<QUIT"},
         .log = {"status=sent (250 Ok)"}},
        {.name = "the handshake fails, and TLS is not needed",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = may\n",
         .scripts = {GREETING
                     "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@wait 20\n>rubbish\n@hang",
                     GREETING "<EHLO\n>250-a\n>250 STARTTLS\n" ENVELOPE "@data\n>250 Ok\n<QUIT"},
         .log = {"status=sent (250 Ok)"},
         .connections = 2},
        {.name = "the handshake fails, and TLS is needed",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = encrypt\n",
         .scripts = {GREETING
                     "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@wait 20\n>rubbish\n@hang"},
         .log = {"dsn=4.7.5, status=deferred (Cannot start TLS with " HOST},
         .not_in_log = "status=sent",
         .connections = 1},
        {.name = "TLS is needed and not offered",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = encrypt\n",
         .scripts = {START "<QUIT"},
         .log = {"dsn=4.7.4, status=deferred (TLS is required, but was not offered by host " HOST
                 ")"}},
        {.name = "TLS is needed and refused",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = encrypt\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>454 no\n<QUIT"},
         .log = {"dsn=4.7.4, status=deferred (TLS is required, but was refused by host " HOST ")"}},
        {.name = "what came before the handshake is dropped",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = encrypt\n",
         .scripts =
                 {GREETING
                  "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n>250 injected\n@tls\n<EHLO\n"
                  ">250 a\n" ENVELOPE "@data\n>250 Ok\n<QUIT"},
         .log = {"status="}, /* the handshake fails, or nothing was injected: never a mix-up */
         .not_in_log = "injected"},

        /* who the next hop is */
        {.name = "secure, and it is who it must be",
         .to = "u@dest.test",
         .settings = "smtp_tls_loglevel = 1\nsmtp_tls_CAfile = CERTIFICATE\n"
                     "smtp_tls_policy_maps = inline:{ { PEER = secure match=mx.example } }\n",
         .scripts =
                 {GREETING
                  "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n<EHLO\n>250 a\n" ENVELOPE
                  "@data\n>250 Ok\n<QUIT"},
         .log = {"Verified TLS connection established to " HOST, "status=sent (250 Ok)"}},
        {.name = "secure, and it has another name",
         .to = "u@dest.test",
         .settings = "smtp_tls_CAfile = CERTIFICATE\n"
                     "smtp_tls_policy_maps = inline:{ { PEER = secure match=other.example } }\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n@hang"},
         .log = {"dsn=4.7.5, status=deferred (Server certificate not verified)"},
         .not_in_log = "status=sent"},
        {.name = "secure, and nobody vouches for it",
         .to = "u@dest.test",
         .settings = "smtp_tls_policy_maps = inline:{ { PEER = secure match=mx.example } }\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n@hang"},
         .log = {"dsn=4.7.5, status=deferred (Server certificate not trusted: self-signed certificate)"},
         .not_in_log = "status=sent"},
        {.name = "verify, and the address is no name of it",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = verify\nsmtp_tls_CAfile = CERTIFICATE\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n@hang"},
         .log = {"dsn=4.7.5, status=deferred (Server certificate not verified)"}},
        {.name = "a trust anchor",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = verify\nsmtp_tls_trust_anchor_file = CERTIFICATE\n"
                     "smtp_tls_verify_cert_match = mx.example\n",
         .scripts =
                 {GREETING
                  "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n<EHLO\n>250 a\n" ENVELOPE
                  "@data\n>250 Ok\n<QUIT"},
         .log = {"status=sent (250 Ok)"}},
        {.name = "a policy's own trust anchor",
         .to = "u@dest.test",
         .settings =
                 "smtp_tls_loglevel = 1\n"
                 "smtp_tls_policy_maps = inline:{ { PEER = secure match=mx.example tafile=CERTIFICATE } }\n",
         .scripts =
                 {GREETING
                  "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n<EHLO\n>250 a\n" ENVELOPE
                  "@data\n>250 Ok\n<QUIT"},
         .log = {"Verified TLS connection established to " HOST, "status=sent (250 Ok)"}},
        {.name = "a policy's own trust anchor, which is another",
         .to = "u@dest.test",
         .settings =
                 "smtp_tls_CAfile = CERTIFICATE\n"
                 "smtp_tls_policy_maps = inline:{ { PEER = secure match=mx.example tafile=STRANGER } }\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n@hang"},
         .log = {"dsn=4.7.5, status=deferred (Server certificate not trusted"},
         .not_in_log = "status=sent"},
        {.name = "a policy's trust anchor that is not there",
         .to = "u@dest.test",
         .settings =
                 "smtp_tls_policy_maps = inline:{ { PEER = secure match=mx.example tafile=/nowhere.pem } }\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@hang"},
         .log = {"dsn=4.7.5, status=deferred (Cannot start TLS with",
                 "cannot use trust anchor file /nowhere.pem: No such file or directory"},
         .not_in_log = "status=sent"},

        {.name = "fingerprint",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = fingerprint\nsmtp_tls_loglevel = 1\n"
                     "smtp_tls_fingerprint_cert_match = 00:11 | FINGERPRINT\n",
         .scripts =
                 {GREETING
                  "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n<EHLO\n>250 a\n" ENVELOPE
                  "@data\n>250 Ok\n<QUIT"},
         .log = {"Verified TLS connection established to " HOST, "status=sent (250 Ok)"}},
        {.name = "another fingerprint",
         .to = "u@dest.test",
         .settings = "smtp_tls_policy_maps = inline:{ { PEER = fingerprint match=00:11:22 } }\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n<STARTTLS\n>220 go\n@tls\n@hang"},
         .log = {"dsn=4.7.5, status=deferred (Server certificate not verified)"},
         .not_in_log = "status=sent"},
        {.name = "a policy of none where the transport says encrypt",
         .to = "u@dest.test",
         .settings = "smtp_tls_security_level = encrypt\n"
                     "smtp_tls_policy_maps = inline:{ { PEER = none } }\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n" ENVELOPE "@data\n>250 Ok\n<QUIT"},
         .log = {"status=sent (250 Ok)"}},
        {.name = "a policy table that cannot be asked",
         .to = "u@dest.test",
         .settings = "smtp_tls_policy_maps = inline:{ { PEER = sometimes } }\n",
         .scripts = {"@serve"},
         .log = {"dsn=4.7.5, status=deferred (TLS policy for [127.0.0.1]:",
                 "unknown level \"sometimes\""}},

        /* LMTP (RFC 2033) */
        {.name = "LMTP, each recipient with its own end",
         .to = "a@dest.test b@dest.test c@dest.test d@dest.test",
         .bounce = {"552 5.2.2 d is too full"},
         .settings =
                 "transport_maps = inline:{ { dest.test = lmtp:inet:PEER } { sender.test = virtual: } }\n",
         .scripts =
                 {GREETING
                  "<LHLO me.test\n>250-a\n>250 ENHANCEDSTATUSCODES\n<MAIL\n>250 ok\n<RCPT TO:<a@\n>250 ok\n"
                  "<RCPT TO:<b@\n>550 5.1.1 who?\n<RCPT TO:<c@\n>250 ok\n<RCPT TO:<d@\n>250 ok\n<DATA\n"
                  ">354 go\n@data\n>250 2.0.0 a has it\n>452 4.2.2 c is full\n>552 5.2.2 d is too full\n<QUIT"},
         .log = {"to=<a@dest.test>, relay=" HOST, "dsn=2.0.0, status=sent (250 2.0.0 a has it)",
                 "dsn=5.1.1, status=bounced", "dsn=4.2.2, status=deferred (host",
                 "dsn=5.2.2, status=bounced"}},
        {.name = "LMTP, with a map and checks of its own",
         .to = "a@dest.test",
         .settings =
                 "transport_maps = inline:{ { dest.test = lmtp:inet:PEER } { sender.test = virtual: } }\n"
                 "lmtp_generic_maps = inline:{ { from@sender.test = seen@sender.test } { a@dest.test = b@dest.test } }\n"
                 "smtp_generic_maps = inline:{ { a@dest.test = wrong@dest.test } }\n"
                 "lmtp_header_checks = regexp:{ { /^Subject:/ INFO seen } }\n",
         .scripts =
                 {GREETING
                  "<LHLO me.test\n>250 a\n<MAIL FROM:<seen@sender.test>\n>250 ok\n<RCPT TO:<b@dest.test>\n"
                  ">250 ok\n<DATA\n>354 go\n@data\n>250 Ok\n<QUIT"},
         .log = {"lmtp[", "info: header Subject: ", "to=<a@dest.test>, relay=" HOST,
                 "status=sent (250 Ok)"}},
        {.name = "a map that cannot be asked",
         .to = "u@dest.test",
         .settings = "smtp_generic_maps = inline:{ { from@sender.test = not an address } }\n",
         .scripts = {START "<QUIT"},
         .log = {"smtp_generic_maps: \"not an address\" for <from@sender.test> is no address",
                 "dsn=4.3.0, status=deferred (local data error while talking to " HOST ")"},
         .not_in_log = "status=sent"},
        {.name = "a rule that nobody understands",
         .to = "u@dest.test",
         .settings = "smtp_header_checks = regexp:{ { /^Subject:/ REPLCE x } }\n",
         .scripts = {START ENVELOPE "@some 1\n"},
         .log = {"smtp_header_checks: \"REPLCE x\": no such action",
                 "dsn=4.3.0, status=deferred (local data error while talking to " HOST ")"},
         .not_in_log = "status=sent"},
        {.name = "LMTP has no HELO to fall back to",
         .to = "u@dest.test",
         .bounce = {"5.5.1 what?"},
         .settings =
                 "transport_maps = inline:{ { dest.test = lmtp:PEER } { sender.test = virtual: } }\n",
         .scripts = {GREETING "<LHLO\n>500 5.5.1 what?\n<QUIT"},
         .log = {"refused to talk to me: 500 5.5.1 what?"}},
        {.name = "LMTP, lost between two ends",
         .to = "a@dest.test b@dest.test",
         .settings =
                 "transport_maps = inline:{ { dest.test = lmtp:PEER } { sender.test = virtual: } }\n",
         .scripts =
                 {GREETING
                  "<LHLO\n>250-a\n>250 PIPELINING\n<MAIL\n>250 ok\n<RCPT\n>250 ok\n<RCPT\n>250 ok\n<DATA\n>354 go\n"
                  "@data\n>250 2.0.0 first\n@reset"},
         .log = {"status=sent (250 2.0.0 first)", "status=deferred (lost connection with"}},

        {.name = "an offer that is not used",
         .to = "u@dest.test",
         .settings = "smtp_tls_note_starttls_offer = yes\n",
         .scripts = {GREETING "<EHLO\n>250-a\n>250 STARTTLS\n" ENVELOPE "@data\n>250 Ok\n<QUIT"},
         .log = {"Host offered STARTTLS: [127.0.0.1]", "status=sent (250 Ok)"}},

        /* our own address */
        {.name = "an address that is not ours",
         .to = "u@dest.test",
         .settings = "smtp_bind_address = 192.0.2.77\n",
         .scripts = {"@serve"},
         .log = {"cannot send from the address 192.0.2.77; using another", "status=sent"}},
        {.name = "an address that is not ours and must be",
         .to = "u@dest.test",
         .settings = "smtp_bind_address = 192.0.2.77\nsmtp_bind_address_enforce = yes\n",
         .scripts = {"@serve"},
         .log = {"status=deferred (connect to " HOST ":", "Cannot assign requested address)"}},
        {.name = "an address of ours",
         .to = "u@dest.test",
         .settings = "smtp_bind_address = 127.0.0.9\n",
         .scripts = {"@serve"},
         .log = {"status=sent"}},

        /* agents without a network */
        {.name = "error:",
         .to = "u@gone.test",
         .scripts = {"@hang"},
         .log = {"/error[", "to=<u@gone.test>, relay=none, ",
                 "dsn=5.1.6, status=bounced (it has gone)"},
         .bounce = {"it has gone", "Status: 5.1.6"}},
        {.name = "retry:",
         .to = "u@later.test",
         .scripts = {"@hang"},
         .log = {"dsn=4.2.1, status=deferred (not today)"}},
        {.name = "a transport that waits for a flush",
         .to = "u@dest.test u@gone.test",
         .settings = "defer_transports = nothing, smtp\n",
         .scripts = {"@hang"},
         .log = {"/error[", "to=<u@dest.test>, relay=none, ",
                 "dsn=4.3.2, status=deferred (deferred transport)", "dsn=5.1.6, status=bounced"},
         .bounce = {"gone"}},
        {.name = "discard:",
         .to = "u@null.test",
         .scripts = {"@hang"},
         .log = {"dsn=2.0.0, status=sent (null.test)", "removed"}},
        {.name = "an alias that did not expand",
         .to = "u@alias.test",
         .scripts = {"@hang"},
         .log = {"dsn=5.1.1, status=bounced (User unknown in virtual alias table)"},
         .bounce = {"User unknown in virtual alias table"}},
        {.name = "no local delivery",
         .to = "u@local.test",
         .settings = "local_transport = local:$myhostname\n",
         .scripts = {"@hang"},
         .log = {"dsn=4.3.5, status=deferred (transport local: there is no local delivery here)"}},
};

static const struct play *play;

static void await_play(struct rig *r)
{
        await_rig_mail(r, "from@sender.test", play->to);
        await_rig_quiet(r);
        if (play->connections && r->peer.connection_count != play->connections)
                fail_msg("%zu connections", r->peer.connection_count);
}

static void fail_with(const struct buf *shown, const struct play *p, const char *what,
                      const char *text)
{
        fwrite(shown->ptr, 1, shown->len, stderr);
        fail_msg("%s: %s \"%s\"", p->name, what, text);
}

static void check_play(const struct play *p, struct rig *r)
{
        static const char *const secrets[] = {"core1", "inside.test", "127.0.0.1"};
        for (size_t i = 0; i < 4 && p->log[i]; i++)
                if (!rig_log_has(r, p->log[i]))
                        fail_with(&r->log, p, "the log lacks", p->log[i]);
        if (p->not_in_log && rig_log_has(r, p->not_in_log))
                fail_with(&r->log, p, "the log has", p->not_in_log);
        for (size_t i = 0; i < 3 && p->bounce[i]; i++)
                if (!rig_caught_has(r, p->bounce[i]))
                        fail_with(&r->caught, p, "the bounce lacks", p->bounce[i]);
        if (r->caught_count != (p->bounce[0] != NULL))
                fail_msg("%s: %zu bounces", p->name, r->caught_count);
        for (size_t i = 0; i < 3 && strstr(p->to, "relay.test"); i++)
                if (rig_caught_has(r, secrets[i]))
                        fail_with(&r->caught, p, "the bounce shows", secrets[i]);
}

/* Short time-outs where they are waited for; else long ones, for busy machines. */
static bool is_about_silence(const struct play *p)
{
        for (size_t i = 0; i < COUNT(p->log) && p->log[i]; i++)
                if (strstr(p->log[i], "timed out"))
                        return true;
        return strstr(p->name, "silent");
}

static void all_plays(void **state)
{
        const char *only = getenv("PLAY");
        for (size_t i = 0; i < sizeof(plays) / sizeof(*plays); i++) {
                static struct rig r;
                size_t scripts = 0;
                if (only && strcmp(only, plays[i].name) != 0)
                        continue;
                play = &plays[i];
                while (scripts < 3 && play->scripts[scripts])
                        scripts++;
                r = (struct rig){.timeout_ms = is_about_silence(play) ? 1000 : 0};
                rig_run(&r, play->settings ? play->settings : "", play->scripts, scripts,
                        await_play);
                check_play(play, &r);
                rig_done(&r);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(all_plays),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
